"""Makes the first attempt of every delivery for a batch of records from the EventsTable's stream."""

from __future__ import annotations

from concurrent.futures import Future  # noqa: TC003 - beside its use
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from posthorn import telemetry
from posthorn.aws.batch_response import UNNAMED, failed_records, identifier
from posthorn.aws.clients import at_once, threads
from posthorn.aws.notice_messages import NoticeMessage
from posthorn.delivery.enqueue import DeliveryEnqueuer, unsent
from posthorn.delivery.sender import PlannedAttempt
from posthorn.domain.errors import Malformed, RefusedEventType, Unavailable
from posthorn.domain.matching import Subscribers
from posthorn.domain.models import FIRST_GENERATION, Delivery, Reason, Status
from posthorn.stores import batches, events
from posthorn.wire import formats

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from posthorn.delivery.pipeline import Pipeline
    from posthorn.domain.models import DeliveryKey, Event

INLINE_LIMIT: Final = 1000
"""The most attempts that one invocation makes itself; the rest go to DeliverQueue."""

MARGIN_MS: Final = 10_000
"""Time reserved after the last attempt for writing rows and sending messages, on top of one attempt's deadline."""

QUEUE_MARGIN_MS: Final = 5_000
"""Time that another hundred rows and messages may take; with less left, the invocation does not start them."""


@dataclass(slots=True)
class _Batch:
    """The state of a batch in progress. Records are identified by their sequence numbers."""

    events: dict[str, Event] = field(default_factory=dict)
    failed: set[str] = field(default_factory=set)
    records_of: dict[DeliveryKey, str] = field(default_factory=dict)
    effects: list[tuple[tuple[str, ...], Future[None]]] = field(default_factory=list)


class Dispatcher:
    """Turns accepted events into deliveries."""

    def __init__(self, pipeline: Pipeline) -> None:
        self._endpoints = pipeline.endpoints
        self._deliveries = pipeline.deliveries
        self._queues = pipeline.queues
        self._enqueuer = DeliveryEnqueuer(pipeline.deliveries, pipeline.queues, clock=pipeline.clock)
        self._dead_letters = pipeline.dead_letters
        self._notice_queue = pipeline.notice_queue
        self._sender = pipeline.sender
        self._health_monitor = pipeline.health_monitor
        self._clock = pipeline.clock
        self._reserve_ms = pipeline.attempt_deadline_ms + MARGIN_MS

    def dispatch(self, records: Sequence[Mapping[str, Any]], *, remaining_ms: Callable[[], int]) -> set[str]:
        """Deliver, record, or queue every event of the batch.

        Returns the sequence numbers of the records to retry. A record fails only because DynamoDB or SQS did,
        never because of a receiver.
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

        counts = telemetry.AttemptCounts()
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
        # after the rows of the attempts made: those must not wait behind a thousand others
        self._queue(batch, [*pending, *overflow], remaining_ms)
        batch.failed |= failed_records(batch.effects, telemetry.call_failed)
        counts.write()
        return batch.failed

    def _read(self, batch: _Batch, records: Sequence[Mapping[str, Any]]) -> None:
        for record in records:
            stream: Mapping[str, Any] = record.get("dynamodb") or {}
            sequence = identifier(stream, "SequenceNumber")
            if record.get("eventName") != "INSERT":
                continue  # the mapping filters these too; an expired row is not an event
            if sequence == UNNAMED and sequence in batch.events:
                batch.failed.add(sequence)  # two records that cannot be told apart
                continue
            try:
                event = events.from_item(stream.get("NewImage") or {})
            except Malformed as error:
                self._dead_letter(batch, sequence, stream.get("Keys"), str(error))
                continue
            batch.events[sequence] = event
            if event.notice is not None:
                message = NoticeMessage(event.channel, event.id)
                batch.effects.append(((sequence,), threads().submit(self._notice_queue.send, message)))

    def _plan(self, batch: _Batch) -> list[PlannedAttempt]:
        """Match every event with the endpoints of its channel, reading each channel once."""
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
        try:
            return Subscribers(self._endpoints.of_channel(channel))
        except Unavailable as error:
            telemetry.call_failed(error)  # once for the channel, not for each of its events
            raise

    def _not_yet_recorded(self, batch: _Batch, attempts: list[PlannedAttempt]) -> list[PlannedAttempt]:
        """Drop attempts that an earlier run of these records recorded, and fail those of disabled endpoints unsent."""
        found, unknown = self._deliveries.get_many([planned.key for planned in attempts])
        batch.failed.update(batch.records_of[key] for key in unknown)
        fresh: list[PlannedAttempt] = []
        disabled: list[Delivery] = []
        for planned in attempts:
            if planned.key in unknown:
                continue
            if planned.key in found:
                # the invocation that wrote the row may have died before it sent the message
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
        """Yield attempts while there is time for one more in this invocation.

        Attempts at endpoints that turned out to be slow or failing meanwhile go to the overflow.
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
        """Queue attempts on DeliverQueue while there is time; the records of the rest are retried."""
        for chunk in batches.chunks(attempts, batches.READ_LIMIT):
            if remaining_ms() < QUEUE_MARGIN_MS:
                batch.failed.update(batch.records_of[planned.key] for planned in chunk)
                continue
            enqueued = self._enqueuer.enqueue([(planned.event, planned.endpoint) for planned in chunk])
            batch.failed.update(batch.records_of[row.key] for row in enqueued.failed)
        if attempts:
            telemetry.deliveries_queued(len(attempts))

    def _record(self, batch: _Batch, rows: Sequence[Delivery]) -> None:
        if rows:
            self._after(batch, rows, self._deliveries.put_all, rows, now_ms=self._clock())

    def _record_and_retry(self, row: Delivery) -> None:
        """Write the row, then send the message, never the reverse: the sweeper finds a row without a message."""
        if self._deliveries.create(row, now_ms=self._clock()):
            self._enqueue_next(row)

    def _enqueue_next(self, row: Delivery) -> None:
        self._queues.enqueue_next(row, now_ms=self._clock())

    def _dead_letter(self, batch: _Batch, sequence: str, keys: Any, reason: str) -> None:
        """Keep a record's keys and the reason in the dead-letter queue; the event itself stays in its table."""
        telemetry.dead_lettered("stream-record", sequence, reason)
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
        """Start an effect in the background; if it fails, the records of these rows fail too."""
        sequences = tuple(batch.records_of[row.key] for row in rows)
        batch.effects.append((sequences, threads().submit(effect, *args, **kwargs)))


def _is_ours(row: Delivery) -> bool:
    """Tell whether a row is as dispatching leaves it; replays send their own messages."""
    return row.status.is_open and row.attempt <= 1 and row.generation == FIRST_GENERATION
