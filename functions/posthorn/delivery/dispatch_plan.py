"""Plans the work for a batch of stream records: which attempts are still to be made, and which rows exist already."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any

from posthorn.aws.batch_response import UNNAMED, identifier
from posthorn.aws.clients import at_once
from posthorn.delivery.sender import PlannedAttempt
from posthorn.domain.errors import Malformed, RefusedEventType, Unavailable
from posthorn.domain.matching import Subscribers
from posthorn.domain.models import FIRST_GENERATION, Delivery
from posthorn.stores import events
from posthorn.wire import formats

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from posthorn.domain.models import DeliveryKey, Endpoint, Event
    from posthorn.stores.deliveries import Deliveries
    from posthorn.stores.endpoints import Endpoints


@dataclass(frozen=True, slots=True)
class UnreadableRecord:
    """A record that can never be processed."""

    sequence: str
    keys: Any  # of the event's row, as far as they are known
    reason: str


@dataclass(frozen=True, slots=True)
class DispatchPlan:
    """The work that a batch of records leads to. Records are identified by their sequence numbers."""

    attempts: Sequence[PlannedAttempt]  # without a row, at enabled endpoints
    missed: Sequence[tuple[Event, Endpoint]]  # without a row, at disabled endpoints
    waiting: Sequence[Delivery]  # open rows of an earlier run, whose messages may have been lost
    unreadable: Sequence[UnreadableRecord]
    failed: frozenset[str]  # records to retry, since something could not be read
    records_of: Mapping[DeliveryKey, str]


@dataclass(slots=True)
class _Reading:
    """The records read so far."""

    events: dict[str, Event] = field(default_factory=dict)
    unreadable: list[UnreadableRecord] = field(default_factory=list)
    failed: set[str] = field(default_factory=set)


class DispatchPlanner:
    """Matches events with endpoints, and looks for deliveries that are on record already."""

    def __init__(self, endpoints: Endpoints, deliveries: Deliveries) -> None:
        self._endpoints = endpoints
        self._deliveries = deliveries

    def plan(self, records: Sequence[Mapping[str, Any]]) -> DispatchPlan:
        """Return the work of a batch of records; nothing is sent or written."""
        reading = _read(records)
        matched = self._match(reading)
        planned = {one.key: one for _, one in matched}
        records_of = {one.key: sequence for sequence, one in matched}
        found, unknown = self._deliveries.get_many(list(planned))
        new = [one for key, one in planned.items() if key not in found and key not in unknown]
        return DispatchPlan(
            attempts=[one for one in new if one.endpoint.enabled],
            missed=[(one.event, one.endpoint) for one in new if not one.endpoint.enabled],
            waiting=[row for row in found.values() if row is not None and _is_ours(row)],
            unreadable=reading.unreadable,
            failed=frozenset(reading.failed.union(records_of[key] for key in unknown)),
            records_of=records_of,
        )

    def _match(self, reading: _Reading) -> list[tuple[str, PlannedAttempt]]:
        """Match every event with the endpoints of its channel, reading each channel once."""
        channels = {event.channel for event in reading.events.values()}
        subscribers = at_once({channel: partial(self._subscribers, channel) for channel in channels})
        matched: list[tuple[str, PlannedAttempt]] = []
        for sequence, event in reading.events.items():
            try:
                wanted = subscribers[event.channel].result().of(event)
                for kind in {endpoint.kind for endpoint in wanted}:
                    formats.check(kind, event)
            except Unavailable:
                reading.failed.add(sequence)
                continue
            except (Malformed, RefusedEventType) as error:
                keys = events.key_of(event.channel, event.id)
                reading.unreadable.append(UnreadableRecord(sequence, keys, str(error)))
                continue
            matched += [
                (sequence, PlannedAttempt(event, endpoint, attempt=1, generation=FIRST_GENERATION))
                for endpoint in wanted
            ]
        return matched

    def _subscribers(self, channel: str) -> Subscribers:
        return Subscribers(self._endpoints.of_channel(channel))


def _read(records: Sequence[Mapping[str, Any]]) -> _Reading:
    reading = _Reading()
    for record in records:
        stream: Mapping[str, Any] = record.get("dynamodb") or {}
        sequence = identifier(stream, "SequenceNumber")
        if record.get("eventName") != "INSERT":
            continue  # the mapping filters these too; an expired row is not an event
        if sequence == UNNAMED and sequence in reading.events:
            reading.failed.add(sequence)  # two records that cannot be told apart
            continue
        try:
            reading.events[sequence] = events.from_item(stream.get("NewImage") or {})
        except Malformed as error:
            reading.unreadable.append(UnreadableRecord(sequence, stream.get("Keys"), str(error)))
    return reading


def _is_ours(row: Delivery) -> bool:
    """Tell whether a row is as dispatching leaves it; replays send their own messages."""
    return row.status.is_open and row.attempt <= 1 and row.generation == FIRST_GENERATION
