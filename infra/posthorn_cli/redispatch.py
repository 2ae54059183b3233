"""`posthorn redispatch`: find events that have no delivery rows, because the stream gave up on them, and queue them."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from itertools import batched
from typing import TYPE_CHECKING, Annotated, Final

import typer

from posthorn.aws.clients import CALLS_AT_ONCE
from posthorn.aws.notice_messages import NoticeMessage
from posthorn.domain.clock import now_ms, rfc3339_ms
from posthorn.domain.errors import Malformed, RefusedEventType, Unavailable
from posthorn.domain.expunged_event import ExpungedEvent
from posthorn.domain.ids import made_at
from posthorn.domain.matching import Subscribers
from posthorn.domain.models import DeliveryKey, Endpoint, Event
from posthorn.stores import batches
from posthorn.stores.endpoints import ChannelEndpoints
from posthorn_cli import installed
from posthorn_cli.errors import CommandError
from posthorn_cli.installed import Installed
from posthorn_cli.options import AsJson, Profile, Region, Stack, read_time
from posthorn_cli.outages import noticed
from posthorn_cli.output import print_json, print_text
from posthorn_cli.progress import Step, shown

if TYPE_CHECKING:
    from rich.table import Table

MEANINGS: Final = {
    "channels": "channels that have endpoints",
    "events": "events accepted in the window",
    "unreadable": "events that this version cannot read",
    "missing": "deliveries without a row",
    "queued": "deliveries queued",
    "failed": "deliveries that could not be queued",
    "notices": "notices to the operator, which are queued again",
}

_PAIRS_AT_ONCE: Final = CALLS_AT_ONCE * batches.READ_LIMIT  # an event may have thousands of endpoints


@dataclass(slots=True)
class RedispatchCounts:
    """What was found and done; a dry run queues nothing."""

    channels: int = 0
    events: int = 0
    unreadable: int = 0
    missing: int = 0
    queued: int = 0
    failed: int = 0
    notices: int = 0


def command(
    *,
    since: Annotated[
        int,
        typer.Option(
            parser=read_time,
            metavar="TIME",
            help="Start of the window: 2026-01-01 (UTC), 2026-01-01T12:00:00Z, or an age such as 30m, 2h, 7d.",
        ),
    ],
    until: Annotated[
        int | None,
        typer.Option(
            parser=read_time, metavar="TIME", help="End of the window, as --since.", show_default="now"
        ),
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only count what is missing.")] = False,
    stack: Stack = "posthorn",
    region: Region = None,
    profile: Profile = None,
    as_json: AsJson = False,
) -> None:
    """Queue the deliveries that events of a window should have and do not.

    For outages that lasted longer than the stream keeps its records (a day). Running it twice does no harm.
    """
    until = now_ms() if until is None else until
    if since > until:
        raise typer.BadParameter("Must not be later than the end of the window.", param_hint="--since")
    place = installed.find(stack, region=region, profile=profile)
    with noticed(place) as reasons, shown() as progress:
        counts = redispatch(place, since_ms=since, until_ms=until, dry_run=dry_run, progress=progress)
    found = asdict(counts)
    if as_json:
        print_json({"since": rfc3339_ms(since), "until": rfc3339_ms(until), "dryRun": dry_run, **found})
    else:
        print_text(_table(found))
    if counts.failed:
        what = "1 delivery" if counts.failed == 1 else f"{counts.failed:,} deliveries"
        sentences = [f"{what} could not be queued.", *sorted(reasons), "Run the command again."]
        raise CommandError(" ".join(sentences))


def redispatch(
    place: Installed, *, since_ms: int, until_ms: int, dry_run: bool, progress: Callable[[Step], None]
) -> RedispatchCounts:
    """Queue the missing deliveries of a window, both ends included.

    Reads the events of channels that have endpoints, and of those the window only: the cost depends on the window
    and not on the size of the EventsTable. Holds the names of all channels, and of one channel its endpoints and
    a page of each shard.
    """
    counts = RedispatchCounts()

    def unreadable(*_: str) -> None:
        counts.events += 1
        counts.unreadable += 1

    log, channels = place.event_log(on_unreadable=unreadable), place.channels()
    for channel in channels:
        endpoints = place.endpoints.of_channel(channel)
        for page in log.window(channel, since_ms=since_ms, until_ms=until_ms):
            counts.events += len(page)
            _complete(place, page, endpoints, counts, dry_run=dry_run)
            progress(_step(counts, len(channels)))
        counts.channels += 1
        progress(_step(counts, len(channels)))
    return counts


def redispatch_one(place: Installed, channel: str, event_id: str, *, dry_run: bool) -> RedispatchCounts:
    """Queue the missing deliveries of one event; `Malformed` when it does not exist or cannot be read."""
    event = place.events.get(channel, event_id)
    if event is None:
        raise Malformed("the event no longer exists")
    if isinstance(event, ExpungedEvent):
        raise Malformed("the event's payload was expunged")
    counts = RedispatchCounts(channels=1, events=1)
    _complete(place, [event], place.endpoints.of_channel(channel), counts, dry_run=dry_run)
    return counts


def _complete(
    place: Installed,
    events: Sequence[Event],
    endpoints: ChannelEndpoints,
    counts: RedispatchCounts,
    *,
    dry_run: bool,
) -> None:
    for event in events:
        if event.notice is not None:
            counts.notices += 1
            if not dry_run:  # nothing records whether it was sent before, and receivers know its id
                place.notice_queue.send(NoticeMessage(event.channel, event.id))
    for wanted in batched(_wanted(events, endpoints.endpoints, counts), _PAIRS_AT_ONCE, strict=False):
        keys = [DeliveryKey(endpoint.id, event.id) for event, endpoint in wanted]
        found, unknown = place.deliveries.get_many(keys)
        if unknown:
            raise Unavailable("batch_get_item", "UnprocessedKeys")
        missing = [pair for key, pair in zip(keys, wanted, strict=True) if key not in found]
        counts.missing += len(missing)
        for chunk in () if dry_run else batches.chunks(missing, batches.READ_LIMIT):
            # a disabled endpoint gets a row, too: DeliverFunction writes the reason into it
            enqueued = place.enqueuer.enqueue(chunk)
            counts.queued += len(enqueued.queued)
            counts.failed += len(enqueued.failed)
    for hidden in batched(_hidden(events, endpoints.unreadable), _PAIRS_AT_ONCE, strict=False):
        # the endpoint may be subscribed, so an event without a row of it must not count as done
        missing_rows = len(hidden) - len(place.deliveries.get_every(hidden))
        counts.missing += missing_rows
        counts.failed += 0 if dry_run else missing_rows


def _hidden(events: Sequence[Event], unreadable: Sequence[str]) -> Iterator[DeliveryKey]:
    """Yield the delivery of every event to each endpoint that this version cannot read."""
    for event in events:
        for endpoint_id in unreadable:
            if event.target in {None, endpoint_id} and made_at(endpoint_id) <= made_at(event.id):
                yield DeliveryKey(endpoint_id, event.id)


def _wanted(
    events: Sequence[Event], endpoints: Sequence[Endpoint], counts: RedispatchCounts
) -> Iterator[tuple[Event, Endpoint]]:
    """Yield every event with each endpoint that was subscribed to it when it was accepted."""
    subscribers = Subscribers(endpoints)
    for event in events:
        try:
            listening = subscribers.of(event)
        except RefusedEventType:
            counts.unreadable += 1
            continue
        for endpoint in listening:
            if endpoint.created_at <= made_at(event.id):
                yield event, endpoint


def _step(counts: RedispatchCounts, channels: int) -> Step:
    text = (
        f"{counts.channels:,} of {channels:,} channels, {counts.events:,} events read,"
        f" {counts.missing:,} deliveries missing"
    )
    return Step(counts.channels, channels, text)


def _table(found: dict[str, int]) -> "Table":
    from rich.table import Table

    table = Table.grid(padding=(0, 2))
    table.add_column()
    table.add_column(justify="right")
    for name, count in found.items():
        table.add_row(name, f"{count:,}", MEANINGS[name])
    return table
