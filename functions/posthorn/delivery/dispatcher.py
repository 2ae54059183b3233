"""Makes the first attempt of every delivery for a batch of records from the EventsTable's stream."""

from __future__ import annotations

from concurrent.futures import Future  # noqa: TC003 - beside its use
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from posthorn import telemetry
from posthorn.aws.batch_response import failed_records
from posthorn.aws.clients import threads
from posthorn.aws.notice_messages import NoticeMessage
from posthorn.delivery.attempt_recorder import AttemptRecorder
from posthorn.delivery.dispatch_plan import DispatchPlanner
from posthorn.delivery.enqueue import DeliveryEnqueuer, unsent
from posthorn.delivery.requeue import requeue
from posthorn.delivery.throttling import AttemptId, Throttling
from posthorn.delivery.unsent_messages import UnsentMessages
from posthorn.domain.errors import Unavailable
from posthorn.domain.models import FIRST_GENERATION, Delivery, Reason, Status
from posthorn.stores import batches

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from posthorn.delivery.dispatch_plan import DispatchPlan
    from posthorn.delivery.pipeline import Pipeline
    from posthorn.delivery.sender import PlannedAttempt
    from posthorn.delivery.stream_records import UnreadableRecord
    from posthorn.domain.models import DeliveryKey, Endpoint
    from posthorn.stores.overdue_deliveries import OverdueDeliveries, OverdueDelivery

INLINE_LIMIT: Final = 1000
"""The most attempts that one invocation makes itself; the rest go to DeliverQueue."""

MARGIN_MS: Final = 10_000
"""Time reserved after the last attempt for writing rows and sending messages, on top of one attempt's deadline."""

QUEUE_MARGIN_MS: Final = 5_000
"""Time that another hundred rows and messages may take; with less left, the invocation does not start them."""


@dataclass(slots=True)
class _Batch:
    """The state of a batch in progress. Records are identified by their sequence numbers."""

    records_of: Mapping[DeliveryKey, str]
    failed: set[str]
    effects: list[tuple[tuple[str, ...], Future[None]]] = field(default_factory=list)
    writes: list[Future[list[Delivery]]] = field(default_factory=list)  # with the rows that nothing took


class Dispatcher:
    """Turns accepted events into deliveries."""

    def __init__(self, pipeline: Pipeline, overdue: OverdueDeliveries) -> None:
        self._unsent = UnsentMessages()
        self._planner = DispatchPlanner(pipeline.endpoints, overdue, self._unsent, clock=pipeline.clock)
        self._overdue = overdue
        self._deliveries = pipeline.deliveries
        self._queues = pipeline.queues
        self._throttling = Throttling(clock=pipeline.clock)
        self._recorder = AttemptRecorder(
            pipeline.deliveries, pipeline.queues, self._throttling, clock=pipeline.clock
        )
        self._enqueuer = DeliveryEnqueuer(
            pipeline.deliveries, pipeline.queues, self._throttling, clock=pipeline.clock
        )
        self._dead_letters = pipeline.dead_letters
        self._notice_queue = pipeline.notice_queue
        self._sender = pipeline.sender
        self._health_monitor = pipeline.health_monitor
        self._clock = pipeline.clock
        self._reserve_ms = pipeline.attempt_deadline_ms + MARGIN_MS

    def dispatch(self, records: Sequence[Mapping[str, Any]], *, remaining_ms: Callable[[], int]) -> set[str]:
        """Deliver, record, or queue every event of the batch, as far as one invocation can.

        Returns the sequence numbers of the records to retry, never because of a receiver.
        """
        plan = self._planner.plan(records)
        batch = _Batch(plan.records_of, set(plan.failed | plan.postponed))
        if plan.postponed:
            telemetry.records_postponed(len(plan.postponed))
        self._settle(batch, plan)
        attempts = [planned for planned in plan.attempts if not self._recalled(batch, planned.key)]
        keeps_apart = self._keeps_apart
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
                self._after(batch, row.key, self._record_and_retry, row)
                continue
            settled.append(row)
            if len(settled) == batches.WRITE_LIMIT:
                self._record(batch, settled)
                settled = []
        self._record(batch, settled)
        # after the rows of the attempts made: those must not wait behind a thousand others
        self._queue(batch, [*pending, *overflow], remaining_ms)
        batch.failed |= failed_records(batch.effects, telemetry.call_failed)
        batch.failed.update(batch.records_of[row.key] for write in batch.writes for row in write.result())
        self._send_unsent(batch, plan.unsent, remaining_ms)
        self._requeue(plan.overdue, remaining_ms)
        counts.write()
        return batch.failed

    def _settle(self, batch: _Batch, plan: DispatchPlan) -> None:
        """Start everything that needs no attempt: dead letters, notices, and rows of disabled endpoints."""
        for record in plan.unreadable:
            self._dead_letter(batch, record)
        for sequence, event in plan.noticed:
            message = NoticeMessage(event.channel, event.id)
            batch.effects.append(((sequence,), threads().submit(self._notice_queue.send, message)))
        failed = [
            unsent(event, endpoint, Status.FAILED, reason=Reason.ENDPOINT_DISABLED)
            for event, endpoint in plan.missed
        ]
        missed = [row for row in failed if not self._recalled(batch, row.key)]
        for rows in batches.chunks(missed, batches.WRITE_LIMIT):
            self._record(batch, rows)

    def _recalled(self, batch: _Batch, key: DeliveryKey) -> bool:
        """Whether an earlier run in this process did a first attempt or queued it, and DynamoDB refused the row."""
        attempt = AttemptId(key, FIRST_GENERATION, 1)
        if not self._recorder.knows(attempt):
            return False
        self._after(batch, key, self._recorder.recall, attempt)
        return True

    def _keeps_apart(self, endpoint: Endpoint) -> bool:
        """Whether the first attempts at an endpoint are not made here, but by DeliverFunction."""
        return self._health_monitor.keeps_apart(endpoint) or self._throttling.covers(endpoint.id)

    def _while_time(
        self,
        attempts: Iterator[PlannedAttempt],
        overflow: list[PlannedAttempt],
        remaining_ms: Callable[[], int],
    ) -> Iterator[PlannedAttempt]:
        """Yield attempts while there is time for one more in this invocation.

        Attempts at endpoints that turned out to be slow, failing or throttled meanwhile go to the overflow.
        """
        while remaining_ms() > self._reserve_ms:
            planned = next(attempts, None)
            if planned is None:
                return
            if self._keeps_apart(planned.endpoint):
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
            self._keep_unsent(enqueued.failed)
        if attempts:
            telemetry.deliveries_queued(len(attempts))

    def _send_unsent(self, batch: _Batch, rows: Sequence[Delivery], remaining_ms: Callable[[], int]) -> None:
        """Send messages that an earlier run of these records could not send; the records of the rest are retried."""
        for page in batches.chunks(rows, batches.READ_LIMIT):
            has_time = remaining_ms() >= QUEUE_MARGIN_MS
            unsent = (
                self._queues.enqueue_all(page, now_ms=self._clock(), on_error=telemetry.call_failed)
                if has_time
                else page
            )
            self._keep_unsent(unsent)
            batch.failed.update(batch.records_of[row.key] for row in unsent)

    def _keep_unsent(self, rows: Iterable[Delivery]) -> None:
        for row in rows:
            self._unsent.add(row)

    def _requeue(self, overdue: Sequence[OverdueDelivery], remaining_ms: Callable[[], int]) -> None:
        """Replace lost messages while there is time. No record fails for the rest: the sweeper finds them, too."""
        for page in batches.chunks(overdue, batches.READ_LIMIT):
            if remaining_ms() < QUEUE_MARGIN_MS:
                return
            requeued = requeue(self._overdue, self._queues, page, now_ms=self._clock())
            if requeued.enqueued:
                telemetry.deliveries_requeued(requeued.enqueued)
            if requeued.unsent:
                telemetry.messages_unsent(requeued.unsent)
            if requeued.outage is not None:
                telemetry.call_failed(requeued.outage)
                return

    def _record(self, batch: _Batch, rows: Sequence[Delivery]) -> None:
        if rows:
            batch.writes.append(threads().submit(self._recorder.put_settled, rows))

    def _record_and_retry(self, row: Delivery) -> None:
        """Write the row, then send the message, never the reverse: the sweeper finds a row without a message."""
        try:
            if self._recorder.create(row):
                self._enqueue_next(row)
        except Unavailable:
            self._unsent.add(row)  # the row may exist even so, since the response may have been lost
            raise

    def _enqueue_next(self, row: Delivery) -> None:
        self._queues.enqueue_next(row, now_ms=self._clock())

    def _dead_letter(self, batch: _Batch, record: UnreadableRecord) -> None:
        """Keep a record's keys and the reason in the dead-letter queue; the event itself stays in its table."""
        telemetry.dead_lettered("stream-record", record.sequence, record.reason)
        what = {"kind": "stream-record", "sequence_number": record.sequence, "keys": record.keys}
        put = threads().submit(self._dead_letters.put, what, reason=record.reason)
        batch.effects.append(((record.sequence,), put))

    def _after[**P](
        self,
        batch: _Batch,
        key: DeliveryKey,
        effect: Callable[P, None],
        *args: P.args,
        **kwargs: P.kwargs,
    ) -> None:
        """Start an effect in the background; if it fails, the record of this delivery fails too."""
        sequence = batch.records_of[key]
        batch.effects.append(((sequence,), threads().submit(effect, *args, **kwargs)))
