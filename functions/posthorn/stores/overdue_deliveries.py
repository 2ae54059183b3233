"""Deliveries that wait for an attempt, in the order of their due times: the index `due`."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Final

from posthorn import telemetry
from posthorn.aws.clients import at_once, call
from posthorn.domain.errors import ConditionFailed, Malformed, Unavailable
from posthorn.domain.ids import EVENT_SHARDS
from posthorn.domain.models import Delivery, DeliveryKey, Status
from posthorn.stores import batches, items
from posthorn.stores import delivery_rows as rows
from posthorn.stores.items import n, s
from posthorn.stores.table import Table
from posthorn.stores.tables import DUE_INDEX, DUE_SHARD, NEXT_ATTEMPT_AT, PK, SK

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mypy_boto3_dynamodb import DynamoDBClient

    from posthorn.stores.items import Item

_NAMES: Final = {"#status": "status"}
_PROGRESS: Final = f"{PK}, {SK}, attempt, {NEXT_ATTEMPT_AT}"


@dataclass(frozen=True, slots=True)
class OverdueDelivery:
    """A delivery as the index shows it; its row may have changed since."""

    key: DeliveryKey
    at: int  # Unix milliseconds


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a delivery is, without what was sent and received."""

    attempt: int  # the number of the last one, 0 before the first
    next_attempt_at: int | None  # None unless it is open


class OverdueDeliveries:
    """The open deliveries of every endpoint."""

    shards: Final = range(EVENT_SHARDS)

    def __init__(self, dynamodb: DynamoDBClient, table: str) -> None:
        self._table = Table(dynamodb, table)

    def page(
        self, shard: int, *, before_ms: int, after: OverdueDelivery | None, limit: int
    ) -> tuple[list[OverdueDelivery], OverdueDelivery | None]:
        """Return deliveries due before a time, the longest overdue first, and the one after which the next page starts."""
        page = self._table.query(
            after=None if after is None else _key(shard, after),
            limit=limit,
            IndexName=DUE_INDEX,
            KeyConditionExpression=f"{DUE_SHARD} = :shard AND {NEXT_ATTEMPT_AT} < :before",
            ExpressionAttributeValues={":shard": s(str(shard)), ":before": n(before_ms)},
        )
        return [_read(row) for row in page.rows], None if page.last is None else _read(page.last)

    def look_up(
        self, keys: Sequence[DeliveryKey]
    ) -> tuple[dict[DeliveryKey, Progress | None], set[DeliveryKey]]:
        """Return the progress of the deliveries that exist, overdue or not, and the keys that could not be looked up.

        Reads up to 100 rows a call, consistently, with the calls in parallel. The progress of a row that this version
        cannot read is None.
        """
        found: dict[DeliveryKey, Progress | None] = {}
        unknown: set[DeliveryKey] = set()
        reads = at_once(
            {
                tuple(chunk): partial(batches.read, self._table.client, {self._table.name: _request(chunk)})
                for chunk in batches.chunks(keys, batches.READ_LIMIT)
            }
        )
        for chunk, read in reads.items():
            try:
                answer = read.result()
            except Unavailable as error:
                telemetry.call_failed(error)
                unknown.update(chunk)
            else:
                found |= {rows.read_key(row): _progress(row) for row in answer[self._table.name]}
        return found, unknown

    def move(self, due: OverdueDelivery, *, now_ms: int) -> Delivery | None:
        """Make a delivery due now; None if its row has changed since the index was read, or a worker holds it.

        `Malformed` if this version cannot read its row; it was moved all the same, so that it blocks no others.
        """
        try:
            answer = call(
                self._table.client.update_item,
                TableName=self._table.name,
                Key=rows.key_of(due.key),
                UpdateExpression=f"SET {NEXT_ATTEMPT_AT} = :now",
                ConditionExpression=(
                    f"{NEXT_ATTEMPT_AT} = :at AND #status IN (:queued, :retrying)"
                    " AND (attribute_not_exists(lease_until) OR lease_until < :now)"
                ),
                ExpressionAttributeNames=_NAMES,
                ExpressionAttributeValues={
                    ":now": n(now_ms),
                    ":at": n(due.at),
                    ":queued": s(Status.QUEUED),
                    ":retrying": s(Status.RETRYING),
                },
                ReturnValues="ALL_NEW",
            )
        except ConditionFailed:
            return None
        return rows.from_item(answer["Attributes"])


def _request(keys: Sequence[DeliveryKey]) -> dict[str, object]:
    return {
        "Keys": [rows.key_of(key) for key in keys],
        "ConsistentRead": True,
        "ProjectionExpression": _PROGRESS,
    }


def _progress(row: Item) -> Progress | None:
    try:
        return Progress(items.number(row, "attempt"), items.optional_number(row, NEXT_ATTEMPT_AT))
    except Malformed:
        return None


def _key(shard: int, due: OverdueDelivery) -> Item:
    return {**rows.key_of(due.key), DUE_SHARD: s(str(shard)), NEXT_ATTEMPT_AT: n(due.at)}


def _read(item: Item) -> OverdueDelivery:
    return OverdueDelivery(rows.read_key(item), items.number(item, NEXT_ATTEMPT_AT))
