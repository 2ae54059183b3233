"""What a function does while Lambda loads it: all that its first invocation would otherwise wait for."""

from __future__ import annotations

import pytest

from posthorn.domain.api_key import ENTROPY_BYTES, mint
from tests.gateway import event_of
from tests.loading import loading
from tests.template import load

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
    """Whatever a batch needs is there before it comes, including the code that logs and dead-letters an unreadable record."""
    loaded = loading(
        function,
        "class Context:",
        "    def get_remaining_time_in_millis(self): return 60_000",
        f"batch = {{'Records': [{NO_SENSE!r}]}}",
        "before = set(sys.modules)",
        "handler(batch, Context())",
        "print(sorted(sys.modules.keys() - before))",
    )
    logged, _, modules = loaded.rpartition("\n")
    assert "message.dead_lettered" in logged
    assert modules == "[]"


def test_the_first_request_loads_nothing() -> None:
    """Whoever meets a cold start waits for one request, and for no import."""
    request = event_of("POST", "/v1/events", "", {"authorization": f"Bearer {KEY}"}, b"{}")
    loaded = loading(
        "ApiFunction",
        "before = set(sys.modules)",
        f"answer = handler({request!r}, Anything())",
        "print(answer['statusCode'], sorted(sys.modules.keys() - before))",
    )
    assert loaded == "401 []"  # after a look for the key, which nobody has


def test_a_snapshot_holds_what_few_requests_need() -> None:
    """Nobody waits for it: every model is built, what sends mail is made, what checks schemas is loaded."""
    code = (
        "from posthorn.api.bodies import Body",
        "models = {one.__pydantic_complete__ for one in Body.__subclasses__()}",
        "print(sorted(made), models, 'jsonschema_rs' in sys.modules)",
    )
    assert loading("ApiFunction", *code) == "['dynamodb', 'kms', 'sqs'] {False} False"
    snapshot = loading("ApiFunction", *code, AWS_LAMBDA_INITIALIZATION_TYPE="snap-start")
    assert snapshot == "['dynamodb', 'kms', 'sesv2', 'sqs'] {True} True"
