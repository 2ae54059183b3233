"""Plans the work for a batch of stream records: which attempts to make, and which rows exist already.

A plan is bounded whatever the size of a channel. Records that do not fit into it come again.
"""

from __future__ import annotations

from collections import Counter, deque
from dataclasses import dataclass, field
from functools import partial
from itertools import batched
from typing import TYPE_CHECKING, Any, Final

from posthorn import telemetry
from posthorn.aws.clients import CALLS_AT_ONCE, at_once
from posthorn.delivery import stream_records
from posthorn.delivery.sender import PlannedAttempt
from posthorn.delivery.stream_records import StreamRecords, UnreadableRecord
from posthorn.domain.errors import Malformed, RefusedEventType, Unavailable
from posthorn.domain.matching import Subscribers
from posthorn.domain.models import FIRST_GENERATION
from posthorn.stores import batches, events
from posthorn.stores.overdue_deliveries import OverdueDelivery
from posthorn.wire import formats

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
    from concurrent.futures import Future

    from posthorn.delivery.unsent_messages import UnsentMessages
    from posthorn.domain.models import Delivery, DeliveryKey, Endpoint, Event
    from posthorn.stores.endpoints import Endpoints
    from posthorn.stores.overdue_deliveries import OverdueDeliveries, Progress

PLAN_LIMIT: Final = 10_000
"""New deliveries in a plan, give or take a page: about as many as one invocation can queue in its minute, in 10 MB."""

CHANNEL_LIMIT: Final = PLAN_LIMIT // 2
"""New deliveries of one channel in a plan, so that a burst of one channel leaves room for the others."""

PAGE: Final = CALLS_AT_ONCE * batches.READ_LIMIT
"""Rows that are looked for at once."""

LOST_MS: Final = 600_000
"""How long a delivery must be overdue until its message counts as lost. As in the sweeper, it is three times as long
as a message stays hidden when its worker dies."""


@dataclass(frozen=True, slots=True)
class DispatchPlan:
    """The work that a batch of records leads to. Records are identified by their sequence numbers."""

    attempts: Sequence[PlannedAttempt]  # without a row, at enabled endpoints
    missed: Sequence[tuple[Event, Endpoint]]  # without a row, at disabled endpoints
    unsent: Sequence[Delivery]  # with an open row whose message this process could not send before
    overdue: Sequence[OverdueDelivery]  # with an open row whose message counts as lost
    unreadable: Sequence[UnreadableRecord]
    noticed: Sequence[tuple[str, Event]]  # operational events that the operator is told of, by record
    failed: frozenset[str]  # records to retry, since something could not be read
    postponed: frozenset[str]  # records to retry, since the plan is full
    records_of: Mapping[DeliveryKey, str]  # of everything but the overdue ones


@dataclass(frozen=True, slots=True)
class _Channel:
    """The endpoints of a channel."""

    subscribers: Subscribers
    unreadable: Sequence[str]  # ids of endpoints that a later version of Posthorn may have written

    def hides_from(self, event: Event) -> bool:
        """Tell whether an endpoint that cannot be read may be one that the event is for."""
        return bool(self.unreadable) if event.target is None else event.target in self.unreadable


@dataclass(slots=True)
class _Planning:
    """A plan that is being made."""

    records: StreamRecords
    failed: set[str]
    unreadable: list[UnreadableRecord]
    attempts: list[PlannedAttempt] = field(default_factory=list)
    missed: list[tuple[Event, Endpoint]] = field(default_factory=list)
    unsent: list[Delivery] = field(default_factory=list)
    overdue: list[OverdueDelivery] = field(default_factory=list)
    postponed: set[str] = field(default_factory=set)
    records_of: dict[DeliveryKey, str] = field(default_factory=dict)
    new_in: Counter[str] = field(default_factory=Counter)  # new deliveries by channel

    def add(self, sequence: str, planned: PlannedAttempt) -> None:
        """Add a delivery that has no row yet."""
        self.records_of[planned.key] = sequence
        self.new_in[planned.endpoint.channel] += 1
        if planned.endpoint.enabled:
            self.attempts.append(planned)
        else:
            self.missed.append((planned.event, planned.endpoint))

    def add_unsent(self, sequence: str, row: Delivery) -> None:
        """Add a delivery that lacks its message."""
        self.records_of[row.key] = sequence
        self.unsent.append(row)

    def add_overdue(self, overdue: OverdueDelivery) -> None:
        """Add a delivery whose message counts as lost, if there is room."""
        if len(self.overdue) < PLAN_LIMIT:
            self.overdue.append(overdue)

    def postpone_from(self, sequence: str) -> None:
        """Let this record and all behind it come again."""
        sequences = self.records.sequences
        self.postponed.update(sequences[sequences.index(sequence) :])
        self.unreadable = [record for record in self.unreadable if record.sequence not in self.postponed]

    def plan(self) -> DispatchPlan:
        """Return what was found."""
        events = self.records.events.items()
        noticed = [one for one in events if one[1].notice is not None and one[0] not in self.postponed]
        return DispatchPlan(
            self.attempts,
            self.missed,
            self.unsent,
            self.overdue,
            self.unreadable,
            noticed,
            frozenset(self.failed),
            frozenset(self.postponed),
            self.records_of,
        )


def begin(records: StreamRecords) -> _Planning:
    return _Planning(records, set(records.failed), list(records.unreadable))


class DispatchPlanner:
    """Matches events with endpoints, and looks for deliveries that are on record already."""

    def __init__(
        self,
        endpoints: Endpoints,
        overdue: OverdueDeliveries,
        unsent: UnsentMessages,
        *,
        clock: Callable[[], int],
    ) -> None:
        self._endpoints = endpoints
        self._overdue = overdue
        self._unsent = unsent
        self._clock = clock

    def plan(self, records: Iterable[Mapping[str, Any]]) -> DispatchPlan:
        """Return the work of a batch of records; nothing is sent or written.

        Works page by page, so that a long list of endpoints or of existing rows takes no memory.
        """
        planning = begin(stream_records.read(records))
        matches = self._matches(planning)
        for page in batched(matches, PAGE, strict=False):
            self._look_up(page, planning)
            if len(planning.records_of) >= PLAN_LIMIT:
                if (following := next(matches, None)) is not None:
                    planning.postpone_from(following[0])
                break
        return planning.plan()

    def _matches(self, planning: _Planning) -> Iterator[tuple[str, PlannedAttempt]]:
        """Yield every event with each endpoint of its channel that it is for, in the order of the records.

        Reads each channel once, and forgets it after its last record.
        """
        last = {event.channel: sequence for sequence, event in planning.records.events.items()}
        unread = deque(last)
        held: dict[str, Future[_Channel]] = {}
        for sequence, event in planning.records.events.items():
            name = event.channel
            if name not in held:
                coming = [unread.popleft() for _ in range(min(len(unread), CALLS_AT_ONCE))]
                held |= at_once({channel: partial(self._channel, channel) for channel in coming})
            reading = held.pop(name) if last[name] == sequence else held[name]
            for endpoint in _recipients(sequence, event, reading, planning):
                if planning.new_in[name] >= CHANNEL_LIMIT:
                    planning.postponed.add(sequence)
                    break
                yield sequence, PlannedAttempt(event, endpoint, attempt=1, generation=FIRST_GENERATION)

    def _channel(self, name: str) -> _Channel:
        try:
            found = self._endpoints.of_channel(name)
        except Unavailable as error:
            telemetry.call_failed(error)  # once for the channel, not for each of its events
            raise
        return _Channel(Subscribers(found.endpoints), found.unreadable)

    def _look_up(self, page: Sequence[tuple[str, PlannedAttempt]], planning: _Planning) -> None:
        """Add a page of matches to the plan, by whether their rows exist."""
        found, unknown = self._overdue.look_up([planned.key for _, planned in page])
        for sequence, planned in page:
            if planned.key in unknown:
                planning.failed.add(sequence)
            elif planned.key in found:
                self._add_recorded(sequence, planned.key, found[planned.key], planning)
            else:
                planning.add(sequence, planned)

    def _add_recorded(
        self, sequence: str, key: DeliveryKey, row: Progress | None, planning: _Planning
    ) -> None:
        """Add a delivery that has a row, if its first message or the one after it must be sent again."""
        if row is None or row.next_attempt_at is None or row.attempt > 1:
            return  # unreadable, settled, or left to the sweeper
        if (unsent := self._unsent.take(key, attempt=row.attempt)) is not None:
            planning.add_unsent(sequence, unsent)
        elif row.next_attempt_at < self._clock() - LOST_MS:
            planning.add_overdue(OverdueDelivery(key, row.next_attempt_at))


def _recipients(
    sequence: str, event: Event, reading: Future[_Channel], planning: _Planning
) -> Sequence[Endpoint]:
    """Return the endpoints that an event is for, as far as they can be read."""
    try:
        channel = reading.result()
        wanted = channel.subscribers.of(event)
        for kind in {endpoint.kind for endpoint in wanted}:
            formats.check(kind, event)
    except Unavailable:
        planning.failed.add(sequence)
        return ()
    except (Malformed, RefusedEventType) as error:
        keys = events.key_of(event.channel, event.id)
        planning.unreadable.append(UnreadableRecord(sequence, keys, str(error)))
        return ()
    if channel.hides_from(event):
        planning.failed.add(sequence)
    return wanted
