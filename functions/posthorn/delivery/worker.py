"""Makes queued first attempts and retries for a batch of messages from any of the four queues."""

from __future__ import annotations

from concurrent.futures import Future  # noqa: TC003 - beside its use
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final

from posthorn import telemetry
from posthorn.aws.batch_response import failed_records, identifier
from posthorn.aws.clients import threads
from posthorn.aws.messages import RecordedAttempt, read_message
from posthorn.delivery.attempt_recorder import AttemptRecorder
from posthorn.delivery.sender import PlannedAttempt
from posthorn.delivery.throttling import AttemptId, Throttling
from posthorn.domain.errors import ConditionFailed, Malformed, Unavailable
from posthorn.domain.models import Delivery, Reason, Status
from posthorn.stores.delivery_rows import Lease, lease_end, read_found

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from posthorn.aws.messages import DeliveryMessage, NewRow, QueueMessage
    from posthorn.delivery.pipeline import Pipeline
    from posthorn.domain.models import Endpoint, Event
    from posthorn.stores.events import Events

LEASE_MARGIN_MS: Final = 30_000
"""How long a claim outlasts one attempt's deadline: past the function's timeout, and well before the message's
visibility timeout ends."""

HOLDER_LENGTH: Final = 8
"""Characters of a message's id that name it in a row."""

ABANDONED_MS: Final = 7_200_000
"""How long after its end a lease still belongs to the message that took it. Twenty receives take little more than an
hour; by then that message, or the result of its attempt, is on record or a dead letter."""


@dataclass(frozen=True, slots=True)
class _Claimed:
    """A delivery that this invocation has claimed for one attempt."""

    message_id: str
    row: Delivery
    message: DeliveryMessage


class Deliverer:
    """Makes the attempts that messages ask for."""

    def __init__(self, pipeline: Pipeline, events: Events) -> None:
        self._endpoints = pipeline.endpoints
        self._events = events
        self._deliveries = pipeline.deliveries
        self._queues = pipeline.queues
        self._recorder = AttemptRecorder(
            pipeline.deliveries, pipeline.queues, Throttling(clock=pipeline.clock), clock=pipeline.clock
        )
        self._dead_letters = pipeline.dead_letters
        self._sender = pipeline.sender
        self._health_monitor = pipeline.health_monitor
        self._clock = pipeline.clock
        self._lease_ms = pipeline.attempt_deadline_ms + LEASE_MARGIN_MS

    def deliver(self, records: Sequence[Mapping[str, Any]]) -> set[str]:
        """Make the attempt of every message; returns the ids of the messages to retry."""
        failed: set[str] = set()
        effects: list[tuple[tuple[str], Future[None]]] = []
        claimed = self._claim(records, failed)
        ready = self._load(claimed, failed, effects)
        secrets = self._sender.unseal(planned.endpoint for planned, _ in ready)
        message_of: dict[PlannedAttempt, _Claimed] = {}
        for planned, claim in ready:
            if planned.endpoint.id in secrets:
                message_of[planned] = claim
            else:
                failed.add(claim.message_id)  # KMS is down: that is not the receiver's failure
        counts = telemetry.AttemptCounts()
        for result in self._sender.send(list(message_of), secrets):
            claim = message_of[result.planned]
            after = result.delivery(claim.row)
            counts.add(after, result.attempt, result.host)
            follow_up = self._health_monitor.observe(result)
            effects.append(((claim.message_id,), threads().submit(self._finish, claim, after, follow_up)))
        failed |= failed_records(effects, telemetry.call_failed)
        counts.write()
        return failed

    def _claim(self, records: Sequence[Mapping[str, Any]], failed: set[str]) -> list[_Claimed]:
        claims = [
            (identifier(record, "messageId"), threads().submit(self._claim_one, record)) for record in records
        ]
        claimed: list[_Claimed] = []
        for message_id, claim in claims:
            try:
                if (one := claim.result()) is not None:
                    claimed.append(one)
            except Unavailable as error:
                telemetry.call_failed(error)
                failed.add(message_id)
        return claimed

    def _claim_one(self, record: Mapping[str, Any]) -> _Claimed | None:
        """Claim one delivery; None when the message has nothing left to do."""
        message_id, body = identifier(record, "messageId"), str(record.get("body", ""))
        try:
            message = read_message(body)
            if isinstance(message, RecordedAttempt):
                if not self._is_purged(message):
                    self._recorder.write(message)
                return None
            attempt = AttemptId(message.key, message.generation, message.attempt)
            if self._recorder.knows(attempt):
                self._recorder.recall(attempt)
                return None
            row = self._take(message, message_id)
        except Malformed as error:
            self._dead_letter(message_id, body, str(error))
            return None
        return None if row is None else _Claimed(message_id, row, message)

    def _take(self, message: DeliveryMessage, message_id: str) -> Delivery | None:
        now = self._clock()
        abandoned = now if message.moved else now - ABANDONED_MS
        lease = Lease(now + self._lease_ms, holder=message_id[:HOLDER_LENGTH], abandoned_before=abandoned)
        if message.new_row is not None and self._is_purged(message):
            return None
        if message.new_row is not None and (new := self._create(message, message.new_row, lease)) is not None:
            return new
        try:
            return self._deliveries.claim(
                message.key,
                generation=message.generation,
                attempt=message.attempt,
                now_ms=now,
                lease=lease,
            )
        except ConditionFailed as lost:
            row = read_found(lost.found)
            if row is None or lost.found is None:
                if self._is_purged(message):
                    return None
                raise Malformed("there is no such delivery") from lost
            if row.generation != message.generation or not row.status.is_open:
                return None
            if row.attempt == message.attempt - 1:
                if lease_end(lost.found) < now:
                    return (
                        None  # the message that took the lease, or the result of its attempt, is in a queue
                    )
                # another worker has it; if that one dies, this message must still be there
                raise Unavailable("claim", "Leased") from lost
            if row.attempt == message.attempt:
                # made, but the next message may have been lost; a duplicate of it loses the claim
                self._enqueue_next(row)
            return None

    def _is_purged(self, message: QueueMessage) -> bool:
        """Tell whether nothing is left of the endpoint: a row written for it now would outlive its workspace."""
        return not self._endpoints.is_known(message.channel, message.key.endpoint_id)

    def _create(self, message: DeliveryMessage, new_row: NewRow, lease: Lease) -> Delivery | None:
        """Write the row of a first attempt with its claim; None if there is a row already."""
        now = self._clock()
        row = Delivery(
            message.key,
            message.channel,
            event_type=new_row.event_type,
            status=Status.QUEUED,
            attempt=0,
            next_attempt_at=now,
            is_test=new_row.is_test,
        )
        return row if self._deliveries.create_claimed(row, lease, now_ms=now) else None

    def _load(
        self, claimed: Sequence[_Claimed], failed: set[str], effects: list[tuple[tuple[str], Future[None]]]
    ) -> list[tuple[PlannedAttempt, _Claimed]]:
        """Read the event and endpoint of each delivery; settle deliveries that lack one."""
        try:
            events, endpoints = self._read(claimed)
        except Unavailable as error:
            telemetry.call_failed(error)
            failed.update(claim.message_id for claim in claimed)
            return []
        except Malformed as error:
            if len(claimed) > 1:  # find the unreadable row, so that the others go on
                return [pair for claim in claimed for pair in self._load([claim], failed, effects)]
            claim = claimed[0]
            key = claim.row.key
            telemetry.row_unreadable(f"{key.endpoint_id} {key.event_id}", str(error))
            failed.add(claim.message_id)
            return []
        ready: list[tuple[PlannedAttempt, _Claimed]] = []
        for claim in claimed:
            event = events.get(claim.row.key.event_id)
            endpoint = endpoints.get(claim.row.key.endpoint_id)
            if endpoint is None:
                reason = Reason.ENDPOINT_DELETED
            elif not endpoint.enabled:
                reason = Reason.ENDPOINT_DISABLED
            elif event is None:
                reason = Reason.EVENT_EXPIRED
            else:
                ready.append(
                    (
                        PlannedAttempt(
                            event, endpoint, attempt=claim.message.attempt, generation=claim.row.generation
                        ),
                        claim,
                    )
                )
                continue
            settled = replace(claim.row, status=Status.FAILED, reason=reason, next_attempt_at=None)
            effects.append(((claim.message_id,), threads().submit(self._settle, settled)))
        return ready

    def _read(self, claimed: Sequence[_Claimed]) -> tuple[dict[str, Event], dict[str, Endpoint]]:
        reading_events = threads().submit(
            self._events.get_many, [(claim.row.channel, claim.row.key.event_id) for claim in claimed]
        )
        endpoints = self._endpoints.get_many(
            [(claim.row.channel, claim.row.key.endpoint_id) for claim in claimed]
        )
        return reading_events.result(), endpoints

    def _settle(self, settled: Delivery) -> None:
        self._deliveries.advance(settled, before=settled.attempt)

    def _finish(self, claim: _Claimed, after: Delivery, follow_up: Callable[[], None] | None) -> None:
        """Record the attempt, then send the next message; acknowledging comes after both."""
        if not self._recorder.advance(after, before=claim.row.attempt):
            return  # the lease ran out and another worker advanced it
        if follow_up is not None:
            follow_up()

    def _enqueue_next(self, row: Delivery) -> None:
        self._queues.enqueue_next(row, now_ms=self._clock())

    def _dead_letter(self, message_id: str, body: str, reason: str) -> None:
        kind = "message"
        telemetry.dead_lettered(kind, message_id, reason)
        self._dead_letters.put({"kind": kind, "message_id": message_id, "body": body}, reason=reason)
