"""Writes of a row that another transaction holds are repeated, since botocore does not repeat them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest

from posthorn.aws import clients
from posthorn.aws.clients import call
from posthorn.domain.errors import ConditionFailed, Unavailable
from tests.conflicts import CANCELED, SINGLE, refusal, success

if TYPE_CHECKING:
    from collections.abc import Iterator

    from botocore.awsrequest import AWSResponse

TIMES = 5  # that a write is repeated

ROW = {"TableName": "t", "Item": {"pk": {"S": "a"}}}
KEY = {"TableName": "t", "Key": {"pk": {"S": "a"}}}
TRANSACTION = {"TransactItems": [{"Put": ROW}, {"Put": ROW}]}
WRITES = [
    ("put_item", ROW, (SINGLE,)),
    ("update_item", KEY, (SINGLE,)),
    ("delete_item", KEY, (SINGLE,)),
    ("transact_write_items", TRANSACTION, (CANCELED, "None", "TransactionConflict")),
    ("transact_write_items", TRANSACTION, (CANCELED, "TransactionConflict", "TransactionConflict")),
]


@dataclass
class DynamoDb:
    """A DynamoDB that refuses requests before it carries out one."""

    client: Any
    refused: tuple[str, ...] = ()
    times: int = 0
    requests: int = 0

    def answer(self, request: Any, **_: object) -> AWSResponse:
        self.requests += 1
        return refusal(request, *self.refused) if self.requests <= self.times else success(request)


@pytest.fixture
def dynamodb(monkeypatch: pytest.MonkeyPatch) -> Iterator[DynamoDb]:
    monkeypatch.setattr(clients, "pauses", lambda: iter([0.0] * TIMES))
    clients._client.cache_clear()
    made = DynamoDb(clients.client("dynamodb"))
    made.client.meta.events.register("before-send.dynamodb.*", made.answer)
    yield made
    clients._client.cache_clear()


@pytest.mark.parametrize(("operation", "request_", "refused"), WRITES)
def test_a_conflict_passes(
    dynamodb: DynamoDb, operation: str, request_: dict[str, Any], refused: tuple[str, ...]
) -> None:
    """A write is repeated until the other transaction is over: nothing was written before."""
    dynamodb.refused, dynamodb.times = refused, TIMES
    call(getattr(dynamodb.client, operation), **request_)
    assert dynamodb.requests == TIMES + 1


@pytest.mark.parametrize(("operation", "request_", "refused"), WRITES)
def test_a_lasting_conflict_is_unavailable(
    dynamodb: DynamoDb, operation: str, request_: dict[str, Any], refused: tuple[str, ...]
) -> None:
    """After five repetitions the caller is told to come again, and that nothing was written."""
    dynamodb.refused, dynamodb.times = refused, 100
    with pytest.raises(Unavailable) as caught:
        call(getattr(dynamodb.client, operation), **request_)
    assert type(caught.value) is Unavailable
    assert (caught.value.code, caught.value.refused) == (refused[0], True)
    assert dynamodb.requests == TIMES + 1


@pytest.mark.parametrize(
    "reasons",
    [
        ("ConditionalCheckFailed", "None"),
        ("ConditionalCheckFailed", "TransactionConflict"),
        ("TransactionConflict", "ConditionalCheckFailed"),
    ],
)
def test_a_lost_condition_is_lost_beside_a_conflict(dynamodb: DynamoDb, reasons: tuple[str, ...]) -> None:
    """The condition failed on a row that no transaction held, so it is reported at once."""
    dynamodb.refused, dynamodb.times = (CANCELED, *reasons), 100
    with pytest.raises(ConditionFailed):
        call(dynamodb.client.transact_write_items, **TRANSACTION)
    assert dynamodb.requests == 1


@pytest.mark.parametrize("other", ["ValidationError", "ProvisionedThroughputExceeded"])
def test_other_reasons_are_not_repeated(dynamodb: DynamoDb, other: str) -> None:
    """Whatever else canceled the transaction is not known to pass within a second."""
    dynamodb.refused, dynamodb.times = (CANCELED, "TransactionConflict", other), 100
    with pytest.raises(Unavailable) as caught:
        call(dynamodb.client.transact_write_items, **TRANSACTION)
    assert type(caught.value) is Unavailable
    assert dynamodb.requests == 1


def test_a_lost_condition_of_a_single_write_is_reported_at_once(dynamodb: DynamoDb) -> None:
    """Only conflicts are repeated."""
    dynamodb.refused, dynamodb.times = ("ConditionalCheckFailedException",), 100
    with pytest.raises(ConditionFailed):
        call(dynamodb.client.put_item, **ROW)
    assert dynamodb.requests == 1
