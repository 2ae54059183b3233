"""Claims deliveries: of all messages that ask for one attempt, one may make it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from posthorn import telemetry
from posthorn.aws.batch_response import identifier
from posthorn.aws.clients import threads
from posthorn.aws.messages import RecordedAttempt, read_message
from posthorn.delivery.throttling import AttemptId
from posthorn.domain.errors import ConditionFailed, Malformed, Unavailable
from posthorn.domain.models import Delivery, Status
from posthorn.stores.delivery_rows import Lease, lease_end, read_found

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from posthorn.aws.messages import DeliveryMessage, NewRow, QueueMessage
    from posthorn.delivery.attempt_recorder import AttemptRecorder
    from posthorn.delivery.pipeline import Pipeline

LEASE_MARGIN_MS: Final = 30_000
"""How long a claim outlasts one attempt's deadline: past the function's timeout, and well before the message's
visibility timeout ends."""

HOLDER_LENGTH: Final = 8
"""Characters of a message's id that name it in a row."""

ABANDONED_MS: Final = 7_200_000
"""How long after its end a lease still belongs to the message that took it. Twenty receives take little more than an
hour; by then that message, or the result of its attempt, is on record or a dead letter."""


@dataclass(frozen=True, slots=True)
class Claimed:
    """A delivery that this invocation has claimed for one attempt."""

    message_id: str
    row: Delivery
    message: DeliveryMessage


class Claims:
    """Claims deliveries for attempts."""

    def __init__(
        self, pipeline: Pipeline, recorder: AttemptRecorder, dead_letter: Callable[[str, str, str], None]
    ) -> None:
        self._endpoints = pipeline.endpoints
        self._deliveries = pipeline.deliveries
        self._queues = pipeline.queues
        self._recorder = recorder
        self._dead_letter = dead_letter  # takes a message's id, its body and the reason
        self._clock = pipeline.clock
        self._lease_ms = pipeline.attempt_deadline_ms + LEASE_MARGIN_MS

    def claim(self, records: Sequence[Mapping[str, Any]], failed: set[str]) -> list[Claimed]:
        """Claim the delivery of every message; adds the ids of the messages to retry to `failed`."""
        claims = [
            (identifier(record, "messageId"), threads().submit(self._claim_one, record)) for record in records
        ]
        claimed: list[Claimed] = []
        for message_id, claim in claims:
            try:
                if (one := claim.result()) is not None:
                    claimed.append(one)
            except Unavailable as error:
                telemetry.call_failed(error)
                failed.add(message_id)
        return claimed

    def _claim_one(self, record: Mapping[str, Any]) -> Claimed | None:
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
        return None if row is None else Claimed(message_id, row, message)

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
                    # the message that took the lease, or the result of its attempt, is in a queue
                    return None
                # another worker has it; if that one dies, this message must still be there
                raise Unavailable("claim", "Leased") from lost
            if row.attempt == message.attempt:
                # made, but the next message may have been lost; a duplicate of it loses the claim
                self._queues.enqueue_next(row, now_ms=now)
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
