"""DynamoDB's batch calls, which may process only part of a request and still succeed."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, Final

from posthorn.aws.clients import call, pauses
from posthorn.domain.errors import Unavailable

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from mypy_boto3_dynamodb import DynamoDBClient

    from posthorn.stores.items import Item

READ_LIMIT: Final = 100
WRITE_LIMIT: Final = 25


def read(dynamodb: DynamoDBClient, requests: Mapping[str, Mapping[str, Any]]) -> dict[str, list[Item]]:
    """Read up to 100 rows; `requests` is BatchGetItem's `RequestItems`. Returns the rows by table."""
    found: dict[str, list[Item]] = {table: [] for table in requests}
    pending: Mapping[str, Any] = requests
    for pause in pauses():
        answer = call(dynamodb.batch_get_item, RequestItems=pending)
        for table, items in answer["Responses"].items():
            found[table].extend(items)
        pending = answer.get("UnprocessedKeys") or {}
        if not pending:
            return found
        time.sleep(pause)
    raise Unavailable("batch_get_item", "UnprocessedKeys")


def put(dynamodb: DynamoDBClient, table: str, items: Sequence[Item]) -> list[Item]:
    """Put up to 25 rows, unconditionally; returns those that DynamoDB did not process.

    `Unavailable` when the first call fails: it is unknown then which rows were written.
    """
    everything: Mapping[str, Any] = {table: [{"PutRequest": {"Item": item}} for item in items]}
    pending = everything
    for pause in pauses():
        try:
            answer = call(dynamodb.batch_write_item, RequestItems=pending)
        except Unavailable:
            if pending is everything:
                raise
            break  # DynamoDB answers so when it would process none of a call
        pending = answer.get("UnprocessedItems") or {}
        if not pending:
            return []
        time.sleep(pause)
    return [request["PutRequest"]["Item"] for request in pending[table]]


def put_every(dynamodb: DynamoDBClient, table: str, items: Sequence[Item]) -> None:
    """Put up to 25 rows, unconditionally; `Unavailable` if some could not be written."""
    if put(dynamodb, table, items):
        raise Unavailable("batch_write_item", "UnprocessedItems")


def delete_every(dynamodb: DynamoDBClient, table: str, keys: Sequence[Item]) -> None:
    """Delete up to 25 rows, which need not exist; `Unavailable` if some could not be deleted."""
    pending: Mapping[str, Any] = {table: [{"DeleteRequest": {"Key": key}} for key in keys]}
    for pause in pauses():
        answer = call(dynamodb.batch_write_item, RequestItems=pending)
        pending = answer.get("UnprocessedItems") or {}
        if not pending:
            return
        time.sleep(pause)
    raise Unavailable("batch_write_item", "UnprocessedItems")


def chunks[T](values: Sequence[T], size: int) -> Iterator[Sequence[T]]:
    """Split a sequence into chunks of at most `size`."""
    return (values[start : start + size] for start in range(0, len(values), size))
