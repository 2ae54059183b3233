"""The deliveries of one endpoint, the newest first, read in pages of bounded cost."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from posthorn.domain.errors import Malformed, RefusedEventType
from posthorn.domain.ids import EVENT, NEWEST_MS, first_id, id_before
from posthorn.domain.matching import canonical
from posthorn.domain.models import Delivery, DeliveryKey, Status
from posthorn.stores import delivery_rows as rows
from posthorn.stores import items
from posthorn.stores.items import s
from posthorn.stores.table import Table
from posthorn.stores.tables import PK, SK, UNDELIVERED, UNDELIVERED_INDEX

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mypy_boto3_dynamodb import DynamoDBClient

    from posthorn.stores.deliveries import Deliveries
    from posthorn.stores.items import Item
    from posthorn.stores.table import Page

PAGES: Final = 4
"""Queries for one page of the log: DynamoDB reads up to 1 MB for each, matches or not."""

_ROWS: Final = 200  # per query whose rows are filtered here; they come without their attempts
_INDEX_ROWS: Final = 500  # a row of the index has about 200 bytes, so a query reads a tenth of a megabyte

_NAMES: Final = {"#status": "status"}
_FILTERED_BY: Final = "pk, sk, event_type, #status"


@dataclass(frozen=True, slots=True)
class DeliveryFilter:
    """Which deliveries to show: those with certain statuses, of one event type, of events accepted in a window.

    The window is from `since` to before `until`, in Unix milliseconds.
    """

    statuses: frozenset[Status] = frozenset(Status)
    event_type: str | None = None  # canonical
    since: int = 0
    until: int = NEWEST_MS

    @property
    def is_every_row(self) -> bool:
        """Whether every row of the window matches."""
        return self.event_type is None and self.statuses == frozenset(Status)

    @property
    def ids(self) -> tuple[str, str]:
        """The first and the last event id of the window; the last one comes first if the window is empty."""
        return first_id(EVENT, now_ms=self.since), id_before(first_id(EVENT, now_ms=self.until))

    def covers(self, status: str, event_type: str) -> bool:
        """Return whether a row matches, by its stored values: those of a later version may be unknown here."""
        try:
            same_type = self.event_type is None or canonical(event_type) == self.event_type
        except RefusedEventType:
            return False
        return same_type and status in self.statuses


@dataclass(frozen=True, slots=True)
class LogEntry:
    """A delivery in the log; None if this version cannot read its row."""

    key: DeliveryKey
    delivery: Delivery | None


class DeliveryLog:
    """Lists the deliveries of an endpoint."""

    def __init__(self, dynamodb: DynamoDBClient, table: str, deliveries: Deliveries) -> None:
        self._table = Table(dynamodb, table)
        self._deliveries = deliveries

    def page(
        self, endpoint_id: str, wanted: DeliveryFilter, *, after: str | None, limit: int
    ) -> tuple[list[LogEntry], str | None]:
        """Return entries, and the event id after which the next page starts if there may be more.

        With a filter, a page may have fewer entries than asked for, or none, and still be followed by another.
        """
        first, last = wanted.ids
        if last < first:
            return [], None  # DynamoDB refuses a range whose end is before its start
        if wanted.is_every_row:
            page = self._query(endpoint_id, wanted, after=after, limit=limit)
            return [_entry(row) for row in page.rows], page.position()
        keys, position = self._filtered(endpoint_id, wanted, after=after, limit=limit)
        entries = self._read(keys)
        # the index lags behind the rows, so the status of a delivery may have changed
        return [one for one in entries if _is_still(one, wanted)], position

    def _filtered(
        self, endpoint_id: str, wanted: DeliveryFilter, *, after: str | None, limit: int
    ) -> tuple[list[DeliveryKey], str | None]:
        found: list[DeliveryKey] = []
        for _ in range(PAGES):
            if Status.DELIVERED in wanted.statuses:
                page = self._query(
                    endpoint_id,
                    wanted,
                    after=after,
                    limit=_ROWS,
                    ProjectionExpression=_FILTERED_BY,
                    ExpressionAttributeNames=_NAMES,
                )
            else:
                page = self._query_undelivered(endpoint_id, wanted, after=after)
            for row in page.rows:
                if not wanted.covers(items.text(row, "status"), items.text(row, "event_type")):
                    continue
                if len(found) == limit:
                    return found, found[-1].event_id
                found.append(DeliveryKey(endpoint_id, items.text(row, SK)))
            after = page.position()
            if after is None or len(found) == limit:
                return found, after
        return found, after

    def _read(self, keys: Sequence[DeliveryKey]) -> list[LogEntry]:
        found = self._deliveries.get_every(keys)
        return [LogEntry(key, found[key]) for key in keys if key in found]

    def _query(
        self, endpoint_id: str, wanted: DeliveryFilter, *, after: str | None, limit: int, **options: Any
    ) -> Page:
        return self._table.query(
            after=None if after is None else rows.key_of(DeliveryKey(endpoint_id, after)),
            limit=limit,
            KeyConditionExpression="pk = :endpoint AND sk BETWEEN :first AND :last",
            ExpressionAttributeValues=_range(endpoint_id, wanted),
            ScanIndexForward=False,
            **options,
        )

    def _query_undelivered(self, endpoint_id: str, wanted: DeliveryFilter, *, after: str | None) -> Page:
        key = {PK: s(endpoint_id), UNDELIVERED: s(endpoint_id)}
        return self._table.query(
            after=None if after is None else {**key, SK: s(after)},
            limit=_INDEX_ROWS,
            IndexName=UNDELIVERED_INDEX,
            KeyConditionExpression="undelivered = :endpoint AND sk BETWEEN :first AND :last",
            ExpressionAttributeValues=_range(endpoint_id, wanted),
            ScanIndexForward=False,
        )


def _range(endpoint_id: str, wanted: DeliveryFilter) -> Item:
    first, last = wanted.ids
    return {":endpoint": s(endpoint_id), ":first": s(first), ":last": s(last)}


def _entry(row: Item) -> LogEntry:
    try:
        return LogEntry(rows.read_key(row), rows.from_item(row))
    except Malformed:
        return LogEntry(rows.read_key(row), None)


def _is_still(entry: LogEntry, wanted: DeliveryFilter) -> bool:
    return entry.delivery is None or wanted.covers(entry.delivery.status, entry.delivery.event_type)
