"""Events in the EventsTable: `pk` is `<channel>#<shard>`, `sk` the event id. Written once, never updated."""

from __future__ import annotations

import zlib
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from posthorn.aws.clients import at_once, call
from posthorn.domain.errors import ConditionFailed, Malformed
from posthorn.domain.ids import EVENT, is_id, shard_of
from posthorn.domain.models import Event
from posthorn.stores import batches, items
from posthorn.stores.items import n, s
from posthorn.stores.tables import PK, ROW_VERSION, SK, TTL, expiry

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from mypy_boto3_dynamodb import DynamoDBClient

    from posthorn.stores.items import Item

MAX_DATA: Final = 256 * 1024
"""Bytes of an event's data; a row may have 400 KB."""

_GZIP: Final = 16 + zlib.MAX_WBITS  # zlib's way to ask for a gzip frame


class Events:
    """The events of every channel."""

    def __init__(self, dynamodb: DynamoDBClient, table: str, *, retention_days: int) -> None:
        self._dynamodb = dynamodb
        self._table = table
        self._retention_days = retention_days

    def accept(self, events: Sequence[Event], *, now_ms: int) -> None:
        """Write events, which is all that accepting them takes; to write one again changes nothing.

        `Unavailable` when any could not be written: then nobody knows which were.
        """
        expires_at = expiry(now_ms, self._retention_days)
        rows = [to_item(event, expires_at=expires_at) for event in events]
        if len(rows) == 1:
            self._put_new(rows[0])
            return
        writes = at_once(
            {
                number: partial(batches.put, self._dynamodb, self._table, chunk)
                for number, chunk in enumerate(batches.chunks(rows, batches.WRITE_LIMIT))
            }
        )
        for write in writes.values():
            write.result()

    def _put_new(self, row: Item) -> None:
        # a request that is repeated under its idempotency key finds the row there
        with suppress(ConditionFailed):
            call(
                self._dynamodb.put_item,
                TableName=self._table,
                Item=row,
                ConditionExpression="attribute_not_exists(pk)",
            )

    def get(self, channel: str, event_id: str) -> Event | None:
        answer = call(
            self._dynamodb.get_item,
            TableName=self._table,
            Key=key_of(channel, event_id),
            ConsistentRead=True,
        )
        return from_item(answer["Item"]) if "Item" in answer else None

    def get_many(self, keys: Iterable[tuple[str, str]]) -> dict[str, Event]:
        """Return the events that exist of up to 100 (channel, event id) pairs, by id."""
        wanted = [key_of(channel, event_id) for channel, event_id in sorted(set(keys))]
        if not wanted:
            return {}
        answer = batches.read(self._dynamodb, {self._table: {"Keys": wanted, "ConsistentRead": True}})
        return {event.id: event for event in map(from_item, answer[self._table])}


def to_item(event: Event, *, expires_at: int) -> Item:
    target: Item = {} if event.target is None else {"target": s(event.target)}
    return {
        **key_of(event.channel, event.id),
        "v": n(ROW_VERSION),
        "workspace": s(event.workspace),
        "type": s(event.type),
        "data": _pack(event.data),
        "created_at": s(event.created_at),
        TTL: n(expires_at),
        **target,
    }


def from_item(item: Mapping[str, Any]) -> Event:
    """Read a row, whether a client or a stream record brought it; `Malformed` when it is none."""
    if (version := items.number(item, "v")) > ROW_VERSION:
        raise Malformed(f"version {version} of an event's row is not known")
    event_id = items.text(item, SK)
    channel, _, shard = items.text(item, PK).rpartition("#")
    if not is_id(event_id, EVENT) or not channel or shard != str(shard_of(event_id)):
        raise Malformed("the key is not that of an event")
    return Event(
        id=event_id,
        channel=channel,
        workspace=items.text(item, "workspace"),
        type=items.text(item, "type"),
        data=_unpack(item),
        created_at=items.text(item, "created_at"),
        target=items.optional_text(item, "target"),
    )


def key_of(channel: str, event_id: str) -> Item:
    return {PK: s(f"{channel}#{shard_of(event_id)}"), SK: s(event_id)}


def _pack(data: str) -> dict[str, Any]:
    """Store JSON as text, or as gzip where that is smaller: the attribute's type tells which."""
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
            raise Malformed("data is larger than an event may be, or cut off")
        return raw.decode()
    except (zlib.error, UnicodeDecodeError) as error:
        raise Malformed("data is neither JSON nor gzip of it") from error
