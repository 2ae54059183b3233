"""Events in the EventsTable: `pk` is `<channel>#<shard>`, `sk` the event id. Written once; expunging removes the data."""

from __future__ import annotations

import zlib
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from posthorn.aws.clients import at_once
from posthorn.domain.errors import Malformed
from posthorn.domain.expunged_event import ExpungedEvent
from posthorn.domain.ids import EVENT, is_id, shard_of
from posthorn.domain.limits import MAX_DATA
from posthorn.domain.models import Event
from posthorn.stores import batches, items
from posthorn.stores.items import n, s
from posthorn.stores.table import NEW, Table
from posthorn.stores.tables import PK, ROW_VERSION, SK, TTL, expiry

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from mypy_boto3_dynamodb import DynamoDBClient

    from posthorn.stores.items import Item

_GZIP: Final = 16 + zlib.MAX_WBITS  # tells zlib to use the gzip format


class Events:
    """The events of every channel."""

    def __init__(self, dynamodb: DynamoDBClient, table: str, *, retention_days: int) -> None:
        self._table = Table(dynamodb, table)
        self._retention_days = retention_days

    def accept(self, events: Sequence[Event], *, now_ms: int, is_repeated: bool = False) -> None:
        """Write events, which accepts them; writing an event again changes nothing.

        `is_repeated`: an earlier request may have written them, and one may have been expunged since.
        `Unavailable` if any could not be written: it is unknown then which ones were.
        """
        expires_at = expiry(now_ms, self._retention_days)
        rows = [to_item(event, expires_at=expires_at) for event in events]
        if len(rows) == 1:
            # a request that is repeated under its idempotency key finds the row there
            self._table.put(rows[0], condition=NEW)
            return
        writes: dict[int, Callable[[], object]]
        if is_repeated:  # a batch write has no condition, and would bring an expunged payload back
            writes = {number: partial(self._table.put, row, condition=NEW) for number, row in enumerate(rows)}
        else:
            writes = {
                number: partial(batches.put_every, self._table.client, self._table.name, chunk)
                for number, chunk in enumerate(batches.chunks(rows, batches.WRITE_LIMIT))
            }
        for write in at_once(writes).values():
            write.result()

    def expunge(self, channel: str, event_id: str, *, now_ms: int) -> ExpungedEvent | None:
        """Remove an event's payload; None if there is no such event. Expunging it again changes nothing."""
        self._table.update(
            key_of(channel, event_id),
            "SET expunged_at = if_not_exists(expunged_at, :now) REMOVE #data",
            condition="attribute_exists(pk)",
            ExpressionAttributeNames={"#data": "data"},
            ExpressionAttributeValues={":now": n(now_ms)},
        )
        found = self.get(channel, event_id)
        return found if isinstance(found, ExpungedEvent) else None

    def get(self, channel: str, event_id: str) -> Event | ExpungedEvent | None:
        row = self._table.get(key_of(channel, event_id))
        return None if row is None else _read(row)

    def get_many(self, keys: Iterable[tuple[str, str]]) -> dict[str, Event | ExpungedEvent]:
        """Return the events that exist of up to 100 (channel, event id) pairs, by id."""
        wanted = [key_of(channel, event_id) for channel, event_id in sorted(set(keys))]
        if not wanted:
            return {}
        found = batches.read(self._table.client, {self._table.name: {"Keys": wanted, "ConsistentRead": True}})
        return {event.id: event for event in map(_read, found[self._table.name])}

    def expunged(self, keys: Iterable[tuple[str, str]]) -> set[str]:
        """Return which of up to 100 events, by (channel, event id), have been expunged; reads no payload."""
        wanted = [key_of(channel, event_id) for channel, event_id in sorted(set(keys))]
        if not wanted:
            return set()
        request = {"Keys": wanted, "ProjectionExpression": "sk, expunged_at"}
        rows = batches.read(self._table.client, {self._table.name: request})[self._table.name]
        return {items.text(row, SK) for row in rows if "expunged_at" in row}


def to_item(event: Event, *, expires_at: int) -> Item:
    optional = {"target": event.target, "notice": event.notice}
    return {
        **key_of(event.channel, event.id),
        "v": n(ROW_VERSION),
        "workspace": s(event.workspace),
        "type": s(event.type),
        "data": _pack(event.data),
        "created_at": s(event.created_at),
        TTL: n(expires_at),
        **{name: s(value) for name, value in optional.items() if value is not None},
    }


def from_item(item: Mapping[str, Any]) -> Event:
    """Read a row from a client or from a stream record; `Malformed` if it is not an event with data."""
    event_id, channel = _names(item)
    return Event(
        id=event_id,
        channel=channel,
        workspace=items.text(item, "workspace"),
        type=items.text(item, "type"),
        data=_unpack(item),
        created_at=items.text(item, "created_at"),
        target=items.optional_text(item, "target"),
        notice=items.optional_text(item, "notice"),
    )


def _read(item: Mapping[str, Any]) -> Event | ExpungedEvent:
    if "expunged_at" not in item:
        return from_item(item)
    event_id, channel = _names(item)
    return ExpungedEvent(
        id=event_id,
        channel=channel,
        type=items.text(item, "type"),
        created_at=items.text(item, "created_at"),
        expunged_at=items.number(item, "expunged_at"),
        target=items.optional_text(item, "target"),
    )


def _names(item: Mapping[str, Any]) -> tuple[str, str]:
    """Return the ids of an event and its channel."""
    if (version := items.number(item, "v")) > ROW_VERSION:
        raise Malformed(f"the row of an event has the unknown version {version}")
    event_id = items.text(item, SK)
    channel, _, shard = items.text(item, PK).rpartition("#")
    if not is_id(event_id, EVENT) or not channel or shard != str(shard_of(event_id)):
        raise Malformed("the key is not the key of an event")
    return event_id, channel


def key_of(channel: str, event_id: str) -> Item:
    return {PK: s(f"{channel}#{shard_of(event_id)}"), SK: s(event_id)}


def _pack(data: str) -> dict[str, Any]:
    """Store JSON as text, or compressed with gzip if that is smaller; the type of the attribute tells which."""
    raw = data.encode()
    packer = zlib.compressobj(6, wbits=_GZIP)
    packed = packer.compress(raw) + packer.flush()
    return {"B": packed} if len(packed) < len(raw) else {"S": data}


def _unpack(item: Mapping[str, Any]) -> str:
    if items.is_text(item, "data"):
        return items.text(item, "data")
    unpacker = zlib.decompressobj(wbits=_GZIP)
    try:
        raw = unpacker.decompress(items.binary(item, "data"), MAX_DATA + 1)
        if len(raw) > MAX_DATA or not unpacker.eof:
            raise Malformed("the data is too large or incomplete")
        return raw.decode()
    except (zlib.error, UnicodeDecodeError) as error:
        raise Malformed("the data is neither JSON nor compressed JSON") from error
