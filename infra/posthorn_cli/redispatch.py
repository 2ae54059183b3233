"""Events that have no delivery rows, because the stream gave up on them: found, and queued after all."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from posthorn.aws.clients import call, threads
from posthorn.domain.errors import Malformed, RefusedEventType, Unavailable
from posthorn.domain.ids import EVENT, EVENT_SHARDS, first_id, made_at
from posthorn.domain.matching import Subscribers
from posthorn.domain.models import DeliveryKey, Event
from posthorn.stores import batches, endpoint_rows, items
from posthorn.stores.items import s
from posthorn.stores.tables import ROW_VERSION

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from posthorn.domain.models import Endpoint
    from posthorn_cli.installed import Installed


@dataclass(slots=True)
class RedispatchCounts:
    """What was found and done; in a dry run, what would be."""

    channels: int = 0
    events: int = 0
    unreadable: int = 0  # rows of events that make no sense to this version
    missing: int = 0  # deliveries that should be there and are not
    queued: int = 0
    failed: int = 0  # could not be written or sent: run the command again


def redispatch(
    place: Installed, *, since_ms: int, until_ms: int, dry_run: bool, progress: Callable[[str], None]
) -> RedispatchCounts:
    """Queue what the events of a window lack, both ends included.

    Reads the events of the channels that have endpoints, and of those the window only: what it costs depends
    on the window and not on the table.
    """
    counts = RedispatchCounts()
    channels = _channels(place)
    for channel in channels:
        endpoints = place.endpoints.of_channel(channel)
        for page in _events_of(place, channel, since_ms, until_ms, counts):
            _complete(place, page, endpoints, counts, dry_run=dry_run)
        counts.channels += 1
        if counts.channels % 100 == 0:
            progress(f"{counts.channels} of {len(channels)} channels, {counts.missing} deliveries missing")
    return counts


def redispatch_one(place: Installed, channel: str, event_id: str, *, dry_run: bool) -> RedispatchCounts:
    """Queue what one event lacks; `Malformed` when there is no such event, or none that can be read."""
    event = place.events.get(channel, event_id)
    if event is None:
        raise Malformed("the event is gone")
    counts = RedispatchCounts(channels=1, events=1)
    _complete(place, [event], place.endpoints.of_channel(channel), counts, dry_run=dry_run)
    return counts


def _complete(
    place: Installed,
    events: Sequence[Event],
    endpoints: Sequence[Endpoint],
    counts: RedispatchCounts,
    *,
    dry_run: bool,
) -> None:
    wanted: dict[DeliveryKey, tuple[Event, Endpoint]] = {}
    for event in events:
        try:
            listening = Subscribers(endpoints).of(event)
        except RefusedEventType:
            counts.unreadable += 1
            continue
        for endpoint in listening:
            if endpoint.created_at <= made_at(event.id):  # it did not listen yet
                wanted[DeliveryKey(endpoint.id, event.id)] = event, endpoint
    found, unknown = place.deliveries.get_many(list(wanted))
    if unknown:
        raise Unavailable("batch_get_item", "UnprocessedKeys")
    missing = [pair for key, pair in wanted.items() if key not in found]
    counts.missing += len(missing)
    if dry_run:
        return
    for chunk in batches.chunks(missing, batches.READ_LIMIT):
        # a disabled endpoint's too: DeliverFunction gives the reason in the row
        enqueued = place.enqueuer.enqueue(chunk)
        counts.queued += len(enqueued.queued)
        counts.failed += len(enqueued.failed)


def _channels(place: Installed) -> list[str]:
    """Return every channel that has an endpoint."""
    found: set[str] = set()
    options: dict[str, Any] = {}
    while True:
        page = call(
            place.dynamodb.scan,
            TableName=place.output("ConfigTableName"),
            FilterExpression="begins_with(sk, :prefix)",
            ExpressionAttributeValues={":prefix": s(endpoint_rows.PREFIX)},
            ProjectionExpression="pk",
            ConsistentRead=True,
            **options,
        )
        found |= {items.text(row, "pk") for row in page["Items"]}
        if "LastEvaluatedKey" not in page:
            return sorted(found)
        options["ExclusiveStartKey"] = page["LastEvaluatedKey"]


def _events_of(
    place: Installed, channel: str, since_ms: int, until_ms: int, counts: RedispatchCounts
) -> Iterator[list[Event]]:
    """Yield the events of a channel without their data, a page of a shard at a time."""
    window = {
        ":first": s(first_id(EVENT, now_ms=since_ms)),
        ":last": s(first_id(EVENT, now_ms=until_ms + 1)),
    }
    shards = [(shard, dict[str, Any]()) for shard in range(EVENT_SHARDS)]
    while shards:
        asked = [
            (shard, threads().submit(_page, place, f"{channel}#{shard}", window, options))
            for shard, options in shards
        ]
        shards = []
        for shard, answer in asked:
            page = answer.result()
            if "LastEvaluatedKey" in page:
                shards.append((shard, {"ExclusiveStartKey": page["LastEvaluatedKey"]}))
            found: list[Event] = []
            for item in page["Items"]:
                counts.events += 1
                try:
                    found.append(_summary(channel, item))
                except Malformed:
                    counts.unreadable += 1
            yield found


def _page(place: Installed, shard: str, window: dict[str, Any], options: dict[str, Any]) -> Any:
    return call(
        place.dynamodb.query,
        TableName=place.output("EventsTableName"),
        KeyConditionExpression="pk = :shard AND sk BETWEEN :first AND :last",
        ExpressionAttributeValues={":shard": s(shard), **window},
        ProjectionExpression="sk, v, workspace, #type, created_at, target",
        ExpressionAttributeNames={"#type": "type"},
        ConsistentRead=True,
        **options,
    )


def _summary(channel: str, item: Any) -> Event:
    if (version := items.number(item, "v")) > ROW_VERSION:
        raise Malformed(f"version {version} of an event's row is not known")
    return Event(
        id=items.text(item, "sk"),
        channel=channel,
        workspace=items.text(item, "workspace"),
        type=items.text(item, "type"),
        data="",
        created_at=items.text(item, "created_at"),
        target=items.optional_text(item, "target"),
    )
