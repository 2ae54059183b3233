"""The events of one channel, the newest first, merged from its shards."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from posthorn.aws.clients import threads
from posthorn.domain.errors import Malformed, RefusedEventType
from posthorn.domain.ids import EVENT, EVENT_SHARDS, NEWEST_MS, first_id, id_before
from posthorn.domain.matching import canonical
from posthorn.domain.models import Event, EventSummary
from posthorn.stores import items
from posthorn.stores.items import s
from posthorn.stores.table import Table
from posthorn.stores.tables import ROW_VERSION, SK

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from mypy_boto3_dynamodb import DynamoDBClient

    from posthorn.stores.items import Item

ROUNDS: Final = 3
"""Rounds of queries to all shards for one page: each may read 1 MB per shard, including data that is not returned."""

_FILTERED_ROWS: Final = 100  # per shard and round, if a filter drops most of them
_SPARE_ROWS: Final = 8  # per shard, since ids are not spread evenly


@dataclass(frozen=True, slots=True)
class Window:
    """Which events to list: accepted from `since` to before `until`, in Unix milliseconds, and of one type."""

    since: int = 0
    until: int = NEWEST_MS
    event_type: str | None = None  # canonical

    def covers(self, summary: EventSummary) -> bool:
        try:
            return self.event_type is None or canonical(summary.type) == self.event_type
        except RefusedEventType:
            return False


@dataclass(frozen=True, slots=True)
class Shard:
    """The rows of one shard, the newest first."""

    summaries: tuple[EventSummary, ...]
    read_to: str | None  # the last id that was read; None if there are no more


def merge(shards: Sequence[Shard]) -> tuple[list[EventSummary], str | None]:
    """Merge shards down to the id that all of them were read to, and return that id.

    Below the highest `read_to`, an event that is still unread could belong in between.
    """
    end = max((shard.read_to for shard in shards if shard.read_to is not None), default=None)
    merged = [summary for shard in shards for summary in shard.summaries if end is None or summary.id >= end]
    return sorted(merged, key=lambda summary: summary.id, reverse=True), end


def gather(
    read: Callable[[str | None, int], Sequence[Shard]], window: Window, *, after: str | None, limit: int
) -> tuple[list[EventSummary], str | None]:
    """Return a page of events, and the id after which the next page starts if there may be more.

    `read` returns a number of rows of each shard below an id. A page may have fewer events than asked for, or none,
    and still be followed by another.
    """
    found: list[EventSummary] = []
    for _ in range(ROUNDS):
        rows = _FILTERED_ROWS if window.event_type else (limit - len(found)) * 2 // EVENT_SHARDS + _SPARE_ROWS
        merged, after = merge(read(after, rows))
        for summary in merged:
            if not window.covers(summary):
                continue
            if len(found) == limit:
                return found, found[-1].id
            found.append(summary)
        if after is None or len(found) == limit:
            return found, after
    return found, after


class EventLog:
    """Lists the events of a channel."""

    def __init__(
        self, dynamodb: DynamoDBClient, table: str, *, on_unreadable: Callable[[str, str], None]
    ) -> None:
        self._table = Table(dynamodb, table)
        self._on_unreadable = on_unreadable  # called with the row that cannot be read, and the reason

    def page(
        self, channel: str, window: Window, *, after: str | None, limit: int
    ) -> tuple[list[EventSummary], str | None]:
        """Return a page of a channel's events; see `gather`."""
        lowest = first_id(EVENT, now_ms=window.since)
        highest = id_before(first_id(EVENT, now_ms=window.until))

        def read(below: str | None, rows: int) -> list[Shard]:
            upper = highest if below is None else id_before(below)
            if upper < lowest:
                return []
            reads = [
                threads().submit(self._read, f"{channel}#{shard}", lowest, upper, rows)
                for shard in range(EVENT_SHARDS)
            ]
            return [shard.result() for shard in reads]

        return gather(read, window, after=after, limit=limit)

    def window(self, channel: str, *, since_ms: int, until_ms: int) -> Iterator[list[Event]]:
        """Yield a channel's events of a window without their data, both ends included, in lists of bounded size.

        The order is that of the shards. Consistent: an event that was accepted a moment ago is in it. Reads the
        window's rows only, and holds at most one page of each shard (1 MB at DynamoDB's end) at a time.
        """
        lowest = first_id(EVENT, now_ms=since_ms)
        highest = id_before(first_id(EVENT, now_ms=until_ms + 1))
        pending: dict[str, Item | None] = {f"{channel}#{shard}": None for shard in range(EVENT_SHARDS)}
        while pending:
            reads = {
                shard: threads().submit(self._window_page, shard, lowest, highest, start)
                for shard, start in pending.items()
            }
            pending = {}
            for shard, read in reads.items():
                rows, last = read.result()
                if last is not None:
                    pending[shard] = last
                yield [event for row in rows if (event := self._event(channel, row)) is not None]

    def _window_page(
        self, shard: str, lowest: str, highest: str, start: Item | None
    ) -> tuple[list[Item], Item | None]:
        page = self._table.query(
            after=start,
            KeyConditionExpression="pk = :shard AND sk BETWEEN :lowest AND :highest",
            ExpressionAttributeValues={":shard": s(shard), ":lowest": s(lowest), ":highest": s(highest)},
            ProjectionExpression="sk, v, workspace, #type, created_at, target, notice",
            ExpressionAttributeNames={"#type": "type"},
            ConsistentRead=True,
        )
        return page.rows, page.last

    def _event(self, channel: str, item: Item) -> Event | None:
        """Read one row of many, as `_summary` does."""
        try:
            return _without_data(channel, item)
        except Malformed as error:
            self._on_unreadable(items.text(item, SK), str(error))
            return None

    def _read(self, shard: str, lowest: str, highest: str, rows: int) -> Shard:
        page = self._table.query(
            limit=rows,
            KeyConditionExpression="pk = :shard AND sk BETWEEN :lowest AND :highest",
            ExpressionAttributeValues={":shard": s(shard), ":lowest": s(lowest), ":highest": s(highest)},
            ProjectionExpression="pk, sk, #type, created_at, target",  # everything but the data
            ExpressionAttributeNames={"#type": "type"},
            ScanIndexForward=False,
        )
        read = (self._summary(row) for row in page.rows)
        return Shard(tuple(summary for summary in read if summary is not None), page.position())

    def _summary(self, item: Item) -> EventSummary | None:
        """Read one row of many; one that this version cannot read must not hide the others."""
        try:
            return EventSummary(
                id=items.text(item, SK),
                type=items.text(item, "type"),
                created_at=items.text(item, "created_at"),
                target=items.optional_text(item, "target"),
            )
        except Malformed as error:
            self._on_unreadable(items.text(item, SK), str(error))
            return None


def _without_data(channel: str, item: Item) -> Event:
    if (version := items.number(item, "v")) > ROW_VERSION:
        raise Malformed(f"version {version} of an event's row is not known")
    return Event(
        id=items.text(item, SK),
        channel=channel,
        workspace=items.text(item, "workspace"),
        type=items.text(item, "type"),
        data="",
        created_at=items.text(item, "created_at"),
        target=items.optional_text(item, "target"),
        notice=items.optional_text(item, "notice"),
    )
