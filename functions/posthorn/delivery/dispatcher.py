"""The first attempt of every delivery, for a batch of records from the EventsTable's stream."""

from __future__ import annotations

from concurrent.futures import Future  # noqa: TC003 - beside its use
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from posthorn.aws.batch_response import UNNAMED, identifier
from posthorn.aws.clients import at_once, threads
from posthorn.delivery.enqueue import Backlog, unsent
from posthorn.delivery.sender import Job
from posthorn.domain.errors import Malformed, RefusedEventType, Unavailable
from posthorn.domain.matching import Audience
from posthorn.domain.models import FIRST_GENERATION, Delivery, Reason, Status
from posthorn.stores import batches, events
from posthorn.telemetry import Tally, log, outage
from posthorn.wire import formats

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from posthorn.aws.queues import Parking, Queues
    from posthorn.delivery.health_monitor import Watch
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
        watch: Watch,
        parking: Parking,
        clock: Callable[[], int],
        attempt_deadline_ms: int,
    ) -> None:
        self._endpoints = endpoints
        self._deliveries = deliveries
        self._queues = queues
        self._backlog = Backlog(deliveries, queues, clock=clock)
        self._parking = parking
        self._sender = sender
        self._watch = watch
        self._clock = clock
        self._reserve_ms = attempt_deadline_ms + MARGIN_MS

    def dispatch(self, records: Sequence[Mapping[str, Any]], *, remaining_ms: Callable[[], int]) -> set[str]:
        """Deliver, record or queue every event of the batch.

        Returns the sequence numbers of the records that an outage of DynamoDB or SQS kept from it;
        whatever their receivers do never makes a record fail.
        """
        batch = _Batch()
        self._read(batch, records)
        jobs = self._not_yet_recorded(batch, self._jobs(batch))
        swift = [job for job in jobs if not self._watch.holds_up(job.endpoint)]
        inline, overflow = swift[:INLINE_LIMIT], swift[INLINE_LIMIT:]
        overflow += [job for job in jobs if self._watch.holds_up(job.endpoint)]
        secrets = self._sender.unseal(job.endpoint for job in inline)
        overflow += [job for job in inline if job.endpoint.id not in secrets]
        pending = iter([job for job in inline if job.endpoint.id in secrets])

        tally = Tally()
        settled: list[Delivery] = []
        for made in self._sender.send(self._while_time(pending, overflow, remaining_ms), secrets):
            tally.add(made.delivery, made.attempt, made.host)
            if (follow_up := self._watch.see(made)) is not None:
                batch.effects.append(((), threads().submit(follow_up)))
            if made.delivery.status is Status.RETRYING:
                self._after(batch, [made.delivery], self._record_and_retry, made.delivery)
                continue
            settled.append(made.delivery)
            if len(settled) == batches.WRITE_LIMIT:
                self._record(batch, settled)
                settled = []
        self._record(batch, settled)
        # after the rows of what was sent: those must not wait behind a thousand others
        self._queue(batch, [*pending, *overflow], remaining_ms)
        self._await(batch)
        tally.write()
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
                self._park(batch, sequence, stream, str(error))

    def _jobs(self, batch: _Batch) -> list[Job]:
        """Match every event with the endpoints of its channel, each channel read once."""
        channels = {event.channel for event in batch.events.values()}
        audiences = at_once({channel: partial(self._audience, channel) for channel in channels})
        jobs: list[Job] = []
        for sequence, event in batch.events.items():
            try:
                wanted = audiences[event.channel].result().of(event)
                for wire in {endpoint.wire for endpoint in wanted}:
                    formats.check(wire, event)
            except Unavailable:
                batch.failed.add(sequence)
                continue
            except (Malformed, RefusedEventType) as error:
                self._park(batch, sequence, {"Keys": events.key_of(event.channel, event.id)}, str(error))
                continue
            for endpoint in wanted:
                job = Job(event, endpoint, attempt=1, generation=FIRST_GENERATION)
                batch.records_of[job.key] = sequence
                jobs.append(job)
        return jobs

    def _audience(self, channel: str) -> Audience:
        return Audience(self._endpoints.of_channel(channel))

    def _not_yet_recorded(self, batch: _Batch, jobs: list[Job]) -> list[Job]:
        """Leave out what an earlier run of the same records has recorded, and what is to fail unsent."""
        found, unknown = self._deliveries.get_many([job.key for job in jobs])
        batch.failed.update(batch.records_of[key] for key in unknown)
        fresh: list[Job] = []
        disabled: list[Delivery] = []
        for job in jobs:
            if job.key in unknown:
                continue
            if job.key in found:
                # the row is there, but its message may have been lost with the invocation that wrote it
                row = found[job.key]
                if row is not None and _is_ours(row):
                    self._after(batch, [row], self._enqueue_next, row)
            elif job.endpoint.enabled:
                fresh.append(job)
            else:
                disabled.append(
                    unsent(job.event, job.endpoint, Status.FAILED, reason=Reason.ENDPOINT_DISABLED)
                )
        for chunk in batches.chunks(disabled, batches.WRITE_LIMIT):
            self._record(batch, chunk)
        return fresh

    def _while_time(
        self, jobs: Iterator[Job], overflow: list[Job], remaining_ms: Callable[[], int]
    ) -> Iterator[Job]:
        """Hand out jobs as long as one more attempt fits into this invocation.

        Those of endpoints that have shown meanwhile that they hold up others go to the overflow.
        """
        while remaining_ms() > self._reserve_ms:
            job = next(jobs, None)
            if job is None:
                return
            if self._watch.holds_up(job.endpoint):
                overflow.append(job)
            else:
                yield job

    def _queue(self, batch: _Batch, jobs: list[Job], remaining_ms: Callable[[], int]) -> None:
        """Leave jobs to DeliverQueue, as many as there is time for; the records of the others come again."""
        for chunk in batches.chunks(jobs, batches.READ_LIMIT):
            if remaining_ms() < QUEUE_MARGIN_MS:
                batch.failed.update(batch.records_of[job.key] for job in chunk)
                continue
            added = self._backlog.add([(job.event, job.endpoint) for job in chunk])
            batch.failed.update(batch.records_of[row.key] for row in added.failed)
        if jobs:
            log().info("queued instead of sent", extra={"deliveries": len(jobs)})

    def _record(self, batch: _Batch, rows: Sequence[Delivery]) -> None:
        if rows:
            self._after(batch, rows, self._put_all, rows)

    def _put_all(self, rows: Sequence[Delivery]) -> None:
        self._deliveries.put_all(rows, now_ms=self._clock())

    def _record_and_retry(self, row: Delivery) -> None:
        """Write the row, then send the message: lost in between, it is found by the row; never the reverse."""
        if self._deliveries.create(row, now_ms=self._clock()):
            self._enqueue_next(row)

    def _enqueue_next(self, row: Delivery) -> None:
        self._queues.enqueue_next(row, now_ms=self._clock())

    def _park(self, batch: _Batch, sequence: str, stream: Mapping[str, Any], reason: str) -> None:
        """Keep a record's keys and the reason; the event itself stays in its table."""
        log().error("parked a stream record", extra={"sequence_number": sequence, "reason": reason})
        what = {"kind": "stream-record", "sequence_number": sequence, "keys": stream.get("Keys")}
        batch.effects.append(((sequence,), threads().submit(self._parking.park, what, reason=reason)))

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
        batch.effects.clear()


def _is_ours(row: Delivery) -> bool:
    """Tell whether a row stands where dispatching leaves it; replays send messages of their own."""
    return row.status.is_open and row.attempt <= 1 and row.generation == FIRST_GENERATION
