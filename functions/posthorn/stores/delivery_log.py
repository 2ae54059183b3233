"""Deliveries of one endpoint, the newest first, read in pages whose cost is bounded."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from posthorn.aws.clients import call
from posthorn.domain.errors import Malformed, RefusedEventType
from posthorn.domain.matching import canonical
from posthorn.domain.models import Delivery, DeliveryKey, Status
from posthorn.stores import delivery_rows as rows
from posthorn.stores import items
from posthorn.stores.items import s
from posthorn.stores.tables import PK, SK, UNDELIVERED, UNDELIVERED_INDEX

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mypy_boto3_dynamodb import DynamoDBClient

    from posthorn.stores.deliveries import Deliveries
    from posthorn.stores.items import Item

PAGES: Final = 4
"""Queries for one page of the log: DynamoDB reads up to 1 MB each, whether it is wanted or not."""

_ROWS: Final = 200  # of a query that is filtered here; they come without their attempts
_INDEX_ROWS: Final = 500  # rows of the index have 200 bytes, so a query reads a tenth of a megabyte

_NAMES: Final = {"#status": "status"}
_FILTERED_BY: Final = "sk, event_type, #status"


@dataclass(frozen=True, slots=True)
class DeliveryFilter:
    """What to show: all deliveries, or those with one of these statuses or of one event type."""

    statuses: frozenset[Status] = frozenset(Status)
    event_type: str | None = None  # canonical

    @property
    def is_everything(self) -> bool:
        return self.event_type is None and self.statuses == frozenset(Status)

    def covers(self, status: str, event_type: str) -> bool:
        """Tell whether a row is wanted, going by its words: a later version may have some that are new."""
        try:
            same_type = self.event_type is None or canonical(event_type) == self.event_type
        except RefusedEventType:
            return False
        return same_type and status in self.statuses


@dataclass(frozen=True, slots=True)
class LogEntry:
    """A delivery of the log; None when its row makes no sense to this version."""

    key: DeliveryKey
    delivery: Delivery | None


class DeliveryLog:
    """What became of the events of one endpoint after the other."""

    def __init__(self, dynamodb: DynamoDBClient, table: str, deliveries: Deliveries) -> None:
        self._dynamodb = dynamodb
        self._table = table
        self._deliveries = deliveries

    def page(
        self, endpoint_id: str, wanted: DeliveryFilter, *, after: str | None, limit: int
    ) -> tuple[list[LogEntry], str | None]:
        """Return entries, and the event id to go on after if there may be more.

        A filter may leave a page with fewer entries than asked for, or none, and still something to go on after.
        """
        if wanted.is_everything:
            found, last = self._query(endpoint_id, after=after, limit=limit)
            return [_entry(row) for row in found], last
        keys, last = self._filtered(endpoint_id, wanted, after=after, limit=limit)
        entries = self._read(keys)
        # the index is a moment behind: what it says of a delivery may be over
        return [one for one in entries if _is_still(one, wanted)], last

    def _filtered(
        self, endpoint_id: str, wanted: DeliveryFilter, *, after: str | None, limit: int
    ) -> tuple[list[DeliveryKey], str | None]:
        found: list[DeliveryKey] = []
        for _ in range(PAGES):
            if Status.DELIVERED in wanted.statuses:
                page, last = self._query(
                    endpoint_id,
                    after=after,
                    limit=_ROWS,
                    ProjectionExpression=_FILTERED_BY,
                    ExpressionAttributeNames=_NAMES,
                )
            else:
                page, last = self._query_undelivered(endpoint_id, after=after)
            for row in page:
                if not wanted.covers(items.text(row, "status"), items.text(row, "event_type")):
                    continue
                if len(found) == limit:
                    return found, found[-1].event_id
                found.append(DeliveryKey(endpoint_id, items.text(row, SK)))
            if last is None or len(found) == limit:
                return found, last
            after = last
        return found, after

    def _read(self, keys: Sequence[DeliveryKey]) -> list[LogEntry]:
        found = self._deliveries.get_every(keys)
        return [LogEntry(key, found[key]) for key in keys if key in found]

    def _query(
        self, endpoint_id: str, *, after: str | None, limit: int, **options: Any
    ) -> tuple[list[Item], str | None]:
        if after is not None:
            options["ExclusiveStartKey"] = rows.key_of(DeliveryKey(endpoint_id, after))
        answer = call(
            self._dynamodb.query,
            TableName=self._table,
            KeyConditionExpression="pk = :endpoint",
            ExpressionAttributeValues={":endpoint": s(endpoint_id)},
            ScanIndexForward=False,
            Limit=limit,
            **options,
        )
        return answer["Items"], _last(answer)

    def _query_undelivered(self, endpoint_id: str, *, after: str | None) -> tuple[list[Item], str | None]:
        options: dict[str, Any] = {}
        if after is not None:
            options["ExclusiveStartKey"] = {
                PK: s(endpoint_id),
                SK: s(after),
                UNDELIVERED: s(endpoint_id),
            }
        answer = call(
            self._dynamodb.query,
            TableName=self._table,
            IndexName=UNDELIVERED_INDEX,
            KeyConditionExpression="undelivered = :endpoint",
            ExpressionAttributeValues={":endpoint": s(endpoint_id)},
            ScanIndexForward=False,
            Limit=_INDEX_ROWS,
            **options,
        )
        return answer["Items"], _last(answer)


def _last(answer: Any) -> str | None:
    last = answer.get("LastEvaluatedKey")
    return items.text(last, SK) if last else None


def _entry(row: Item) -> LogEntry:
    try:
        return LogEntry(rows.read_key(row), rows.from_item(row))
    except Malformed:
        return LogEntry(rows.read_key(row), None)


def _is_still(entry: LogEntry, wanted: DeliveryFilter) -> bool:
    return entry.delivery is None or wanted.covers(entry.delivery.status, entry.delivery.event_type)
