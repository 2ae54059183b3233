"""What a function does while Lambda loads it: all that its first invocation would otherwise wait for."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from posthorn.api_keys import ENTROPY_BYTES, mint
from tests.aws import environment
from tests.gateway import event_of
from tests.template import load

# Stands where boto3 makes its clients: notes their services, and every call is answered with nothing.
RECORDER = """
import sys, botocore.session
from unittest.mock import MagicMock

made = []

class Client:
    meta = MagicMock()

    def __init__(self, _, service, *rest, **options):
        made.append(service)

    def __getattr__(self, name):
        def call(**_):
            return {}
        call.__name__ = name
        return call

botocore.session.Session.create_client = lambda *given, **options: Client(*given, **options)
"""
KEY = mint(bytes(ENTROPY_BYTES))

# As a record of the stream, and as a message of any queue.
NO_SENSE = {
    "eventName": "INSERT",
    "dynamodb": {"SequenceNumber": "1"},
    "messageId": "m-1",
    "body": "nothing that anybody knows",
}
CLIENTS = {
    "ApiFunction": ["dynamodb", "kms", "sqs"],
    "FeedbackFunction": ["dynamodb", "sqs"],
    "DispatchFunction": ["dynamodb", "kms", "sqs"],
    "DeliverFunction": ["dynamodb", "kms", "sqs"],
    "SweepFunction": ["dynamodb", "sqs"],
    "ReplayFunction": ["dynamodb", "sqs"],
}


def test_every_function_is_listed() -> None:
    """A function that is added says below what it makes while it is loaded."""
    assert CLIENTS.keys() == load().functions.keys()


@pytest.mark.parametrize("function", CLIENTS)
def test_in_lambda_clients_are_made_while_the_code_is_loaded(function: str) -> None:
    """Making them takes longer than importing everything else, and the first invocation has the smaller processor."""
    assert loading(function, "print(sorted(made))") == str(CLIENTS[function])


@pytest.mark.parametrize(
    "function", ["DispatchFunction", "DeliverFunction", "ReplayFunction", "FeedbackFunction"]
)
def test_the_first_invocation_loads_nothing(function: str) -> None:
    """Whatever a batch needs is there before it comes, also what logs and parks a record that makes no sense."""
    loaded = loading(
        function,
        "context = MagicMock(**{'get_remaining_time_in_millis.return_value': 60_000})",
        f"batch = {{'Records': [{NO_SENSE!r}]}}",
        "before = set(sys.modules)",
        "handler(batch, context)",
        "print(sorted(sys.modules.keys() - before))",
    )
    logged, _, modules = loaded.rpartition("\n")
    assert "parked" in logged
    assert modules == "[]"


def test_the_first_request_loads_nothing() -> None:
    """Whoever meets a cold start waits for one request, and for no import."""
    request = event_of("POST", "/v1/events", "", {"authorization": f"Bearer {KEY}"}, b"{}")
    loaded = loading(
        "ApiFunction",
        "before = set(sys.modules)",
        f"answer = handler({request!r}, MagicMock())",
        "print(answer['statusCode'], sorted(sys.modules.keys() - before))",
    )
    assert loaded == "401 []"  # after a look for the key, which nobody has


def test_a_snapshot_holds_what_few_requests_need() -> None:
    """Nobody waits for it: every model is built, what sends mail is made, what checks schemas is loaded."""
    code = (
        "from posthorn.routes.bodies import Body",
        "models = {one.__pydantic_complete__ for one in Body.__subclasses__()}",
        "print(sorted(made), models, 'jsonschema_rs' in sys.modules)",
    )
    assert loading("ApiFunction", *code) == "['dynamodb', 'kms', 'sqs'] {False} False"
    snapshot = loading("ApiFunction", *code, AWS_LAMBDA_INITIALIZATION_TYPE="snap-start")
    assert snapshot == "['dynamodb', 'kms', 'sesv2', 'sqs'] {True} True"


def loading(function: str, *then: str, **variables: str) -> str:
    """Load a function's handler as Lambda does, with the template's environment, and return what is printed then."""
    module, _, name = load().functions[function]["Handler"].rpartition(".")
    names = dict.fromkeys(load().resources, "made-by-cloudformation")
    env = {
        "PATH": os.environ["PATH"],
        "PYTHONPATH": os.pathsep.join(sys.path),
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_LAMBDA_FUNCTION_NAME": "posthorn-function",
        **environment(function, {**names, "SecretsKey.Arn": "arn:aws:kms:us-east-1:123456789012:key/1"}),
        **variables,
    }
    code = "\n".join((RECORDER, f"from {module} import {name}", *then))
    ended = subprocess.run(
        [sys.executable, "-c", code], check=False, capture_output=True, text=True, timeout=60, env=env
    )
    assert ended.returncode == 0, ended.stderr
    return ended.stdout.strip()
