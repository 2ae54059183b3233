"""Work that a function does while Lambda loads it, so that its first invocation does not wait for it."""

from __future__ import annotations

import pytest

from posthorn.domain.api_key import ENTROPY_BYTES, mint
from tests.gateway import event_of
from tests.loading import loading
from tests.template import load

KEY = mint(bytes(ENTROPY_BYTES))

# As a stream record and as a message of any queue.
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
    "PurgeFunction": ["dynamodb", "sesv2", "sqs"],
}


def test_every_function_is_listed() -> None:
    """Every function is listed below with what it creates while loading."""
    assert CLIENTS.keys() == load().functions.keys()


@pytest.mark.parametrize("function", CLIENTS)
def test_in_lambda_clients_are_made_while_the_code_is_loaded(function: str) -> None:
    """Creating clients takes longer than all imports, and the first invocation has less CPU."""
    assert loading(function, "print(sorted(made))") == str(CLIENTS[function])


@pytest.mark.parametrize(
    "function", ["DispatchFunction", "DeliverFunction", "ReplayFunction", "PurgeFunction", "FeedbackFunction"]
)
def test_the_first_invocation_loads_nothing(function: str) -> None:
    """The first batch causes no import, not even to log and dead-letter a malformed record."""
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
    """The first request causes no import."""
    request = event_of("POST", "/v1/events", "", {"authorization": f"Bearer {KEY}"}, b"{}")
    loaded = loading(
        "ApiFunction",
        "before = set(sys.modules)",
        f"answer = handler({request!r}, Anything())",
        "print(answer['statusCode'], sorted(sys.modules.keys() - before))",
    )
    assert loaded == "401 []"  # after a lookup of a key that does not exist


def test_a_snapshot_includes_rarely_needed_code() -> None:
    """Before the snapshot, every model is built, the email client is created and schema checks are loaded."""
    code = (
        "from posthorn.api.bodies import Body",
        "models = {one.__pydantic_complete__ for one in Body.__subclasses__()}",
        "print(sorted(made), models, 'jsonschema_rs' in sys.modules)",
    )
    assert loading("ApiFunction", *code) == "['dynamodb', 'kms', 'sqs'] {False} False"
    snapshot = loading("ApiFunction", *code, AWS_LAMBDA_INITIALIZATION_TYPE="snap-start")
    assert snapshot == "['dynamodb', 'kms', 'sesv2', 'sqs'] {True} True"
