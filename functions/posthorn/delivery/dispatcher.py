"""The first attempt of every delivery, for a batch of records from the EventsTable's stream."""

from __future__ import annotations

from concurrent.futures import Future  # noqa: TC003 - beside its use
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from posthorn.aws.batch_response import UNNAMED, identifier
from posthorn.aws.clients import at_once, threads
from posthorn.delivery.enqueue import DeliveryEnqueuer, unsent
from posthorn.delivery.sender import PlannedAttempt
from posthorn.domain.errors import Malformed, RefusedEventType, Unavailable
from posthorn.domain.matching import Subscribers
from posthorn.domain.models import FIRST_GENERATION, Delivery, Reason, Status
from posthorn.stores import batches, events
from posthorn.telemetry import AttemptCounts, log, outage
from posthorn.wire import formats

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from posthorn.aws.queues import DeadLetterQueue, Queues
    from posthorn.delivery.health_monitor import HealthMonitor
    from posthorn.delivery.sender import Sender
    from posthorn.domain.models import DeliveryKey, Event
    from posthorn.stores.deliveries import Deliveries
    from posthorn.stores.endpoints import Endpoints

INLINE_LIMIT: Final = 1000
"""Attempts that one invocation makes itself; what is beyond goes to DeliverQueue."""

MARGIN_MS: Final = 10_000
"""What is left of an invocation, beside one attempt's deadline, for rows and messages after the last attempt."""

QUEUE_MARGIN_MS: Final = 5_000
"""What another hundred rows and messages may take, before it is too late in an invocation to write them."""


@dataclass(slots=True)
class _Batch:
    """What is known of a batch so far; a record is named by its sequence number."""

    events: dict[str, Event] = field(default_factory=dict)
    failed: set[str] = field(default_factory=set)
    records_of: dict[DeliveryKey, str] = field(default_factory=dict)
    effects: list[tuple[tuple[str, ...], Future[None]]] = field(default_factory=list)


class Dispatcher:
    """Turns accepted events into deliveries."""

    def __init__(
        self,
        endpoints: Endpoints,
        deliveries: Deliveries,
        queues: Queues,
        sender: Sender,
        *,
        health_monitor: HealthMonitor,
        dead_letters: DeadLetterQueue,
        clock: Callable[[], int],
        attempt_deadline_ms: int,
    ) -> None:
        self._endpoints = endpoints
        self._deliveries = deliveries
        self._queues = queues
        self._enqueuer = DeliveryEnqueuer(deliveries, queues, clock=clock)
        self._dead_letters = dead_letters
        self._sender = sender
        self._health_monitor = health_monitor
        self._clock = clock
        self._reserve_ms = attempt_deadline_ms + MARGIN_MS

    def dispatch(self, records: Sequence[Mapping[str, Any]], *, remaining_ms: Callable[[], int]) -> set[str]:
        """Deliver, record or queue every event of the batch.

        Returns the sequence numbers of the records that an outage of DynamoDB or SQS kept from it;
        whatever their receivers do never makes a record fail.
        """
        batch = _Batch()
        self._read(batch, records)
        attempts = self._not_yet_recorded(batch, self._plan(batch))
        keeps_apart = self._health_monitor.keeps_apart
        swift = [planned for planned in attempts if not keeps_apart(planned.endpoint)]
        inline, overflow = swift[:INLINE_LIMIT], swift[INLINE_LIMIT:]
        overflow += [planned for planned in attempts if keeps_apart(planned.endpoint)]
        secrets = self._sender.unseal(planned.endpoint for planned in inline)
        overflow += [planned for planned in inline if planned.endpoint.id not in secrets]
        pending = iter([planned for planned in inline if planned.endpoint.id in secrets])

        counts = AttemptCounts()
        settled: list[Delivery] = []
        for result in self._sender.send(self._while_time(pending, overflow, remaining_ms), secrets):
            row = result.delivery()
            counts.add(row, result.attempt, result.host)
            if (follow_up := self._health_monitor.observe(result)) is not None:
                batch.effects.append(((), threads().submit(follow_up)))
            if row.status is Status.RETRYING:
                self._after(batch, [row], self._record_and_retry, row)
                continue
            settled.append(row)
            if len(settled) == batches.WRITE_LIMIT:
                self._record(batch, settled)
                settled = []
        self._record(batch, settled)
        # after the rows of what was sent: those must not wait behind a thousand others
        self._queue(batch, [*pending, *overflow], remaining_ms)
        self._await(batch)
        counts.write()
        return batch.failed

    def _read(self, batch: _Batch, records: Sequence[Mapping[str, Any]]) -> None:
        for record in records:
            stream: Mapping[str, Any] = record.get("dynamodb") or {}
            sequence = identifier(stream, "SequenceNumber")
            if record.get("eventName") != "INSERT":
                continue  # the mapping filters these; expiry is no event
            if sequence == UNNAMED and sequence in batch.events:
                batch.failed.add(sequence)  # two that cannot be told apart
                continue
            try:
                batch.events[sequence] = events.from_item(stream.get("NewImage") or {})
            except Malformed as error:
                self._dead_letter(batch, sequence, stream.get("Keys"), str(error))

    def _plan(self, batch: _Batch) -> list[PlannedAttempt]:
        """Match every event with the endpoints of its channel, each channel read once."""
        channels = {event.channel for event in batch.events.values()}
        subscribers = at_once({channel: partial(self._subscribers, channel) for channel in channels})
        attempts: list[PlannedAttempt] = []
        for sequence, event in batch.events.items():
            try:
                wanted = subscribers[event.channel].result().of(event)
                for kind in {endpoint.kind for endpoint in wanted}:
                    formats.check(kind, event)
            except Unavailable:
                batch.failed.add(sequence)
                continue
            except (Malformed, RefusedEventType) as error:
                self._dead_letter(batch, sequence, events.key_of(event.channel, event.id), str(error))
                continue
            for endpoint in wanted:
                planned = PlannedAttempt(event, endpoint, attempt=1, generation=FIRST_GENERATION)
                batch.records_of[planned.key] = sequence
                attempts.append(planned)
        return attempts

    def _subscribers(self, channel: str) -> Subscribers:
        return Subscribers(self._endpoints.of_channel(channel))

    def _not_yet_recorded(self, batch: _Batch, attempts: list[PlannedAttempt]) -> list[PlannedAttempt]:
        """Leave out what an earlier run of the same records has recorded, and what is to fail unsent."""
        found, unknown = self._deliveries.get_many([planned.key for planned in attempts])
        batch.failed.update(batch.records_of[key] for key in unknown)
        fresh: list[PlannedAttempt] = []
        disabled: list[Delivery] = []
        for planned in attempts:
            if planned.key in unknown:
                continue
            if planned.key in found:
                # the row is there, but its message may have been lost with the invocation that wrote it
                row = found[planned.key]
                if row is not None and _is_ours(row):
                    self._after(batch, [row], self._enqueue_next, row)
            elif planned.endpoint.enabled:
                fresh.append(planned)
            else:
                disabled.append(
                    unsent(planned.event, planned.endpoint, Status.FAILED, reason=Reason.ENDPOINT_DISABLED)
                )
        for chunk in batches.chunks(disabled, batches.WRITE_LIMIT):
            self._record(batch, chunk)
        return fresh

    def _while_time(
        self,
        attempts: Iterator[PlannedAttempt],
        overflow: list[PlannedAttempt],
        remaining_ms: Callable[[], int],
    ) -> Iterator[PlannedAttempt]:
        """Hand out jobs as long as one more attempt fits into this invocation.

        Those of endpoints that have shown meanwhile that they hold up others go to the overflow.
        """
        while remaining_ms() > self._reserve_ms:
            planned = next(attempts, None)
            if planned is None:
                return
            if self._health_monitor.keeps_apart(planned.endpoint):
                overflow.append(planned)
            else:
                yield planned

    def _queue(self, batch: _Batch, attempts: list[PlannedAttempt], remaining_ms: Callable[[], int]) -> None:
        """Leave jobs to DeliverQueue, as many as there is time for; the records of the others come again."""
        for chunk in batches.chunks(attempts, batches.READ_LIMIT):
            if remaining_ms() < QUEUE_MARGIN_MS:
                batch.failed.update(batch.records_of[planned.key] for planned in chunk)
                continue
            enqueued = self._enqueuer.enqueue([(planned.event, planned.endpoint) for planned in chunk])
            batch.failed.update(batch.records_of[row.key] for row in enqueued.failed)
        if attempts:
            log().info("queued instead of sent", extra={"deliveries": len(attempts)})

    def _record(self, batch: _Batch, rows: Sequence[Delivery]) -> None:
        if rows:
            self._after(batch, rows, self._deliveries.put_all, rows, now_ms=self._clock())

    def _record_and_retry(self, row: Delivery) -> None:
        """Write the row, then send the message: lost in between, it is found by the row; never the reverse."""
        if self._deliveries.create(row, now_ms=self._clock()):
            self._enqueue_next(row)

    def _enqueue_next(self, row: Delivery) -> None:
        self._queues.enqueue_next(row, now_ms=self._clock())

    def _dead_letter(self, batch: _Batch, sequence: str, keys: Any, reason: str) -> None:
        """Keep a record's keys and the reason; the event itself stays in its table."""
        log().error("parked a stream record", extra={"sequence_number": sequence, "reason": reason})
        what = {"kind": "stream-record", "sequence_number": sequence, "keys": keys}
        batch.effects.append(((sequence,), threads().submit(self._dead_letters.put, what, reason=reason)))

    def _after[**P](
        self,
        batch: _Batch,
        rows: Iterable[Delivery],
        effect: Callable[P, None],
        *args: P.args,
        **kwargs: P.kwargs,
    ) -> None:
        """Start an effect beside the attempts; if it fails, so do the records of these rows."""
        sequences = tuple(batch.records_of[row.key] for row in rows)
        batch.effects.append((sequences, threads().submit(effect, *args, **kwargs)))

    def _await(self, batch: _Batch) -> None:
        for sequences, effect in batch.effects:
            try:
                effect.result()
            except Unavailable as error:
                outage(error)
                batch.failed.update(sequences)


def _is_ours(row: Delivery) -> bool:
    """Tell whether a row stands where dispatching leaves it; replays send messages of their own."""
    return row.status.is_open and row.attempt <= 1 and row.generation == FIRST_GENERATION
