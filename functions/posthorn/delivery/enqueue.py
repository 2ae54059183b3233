"""Queues first attempts that dispatch does not make itself: a row each, then a message to DeliverQueue.

While DynamoDB refuses the rows of an endpoint there is only the message, and the claim of the attempt writes the row.
"""

from __future__ import annotations

from concurrent.futures import Future  # noqa: TC003 - beside its use
from dataclasses import dataclass
from typing import TYPE_CHECKING

from posthorn import telemetry
from posthorn.aws.clients import threads
from posthorn.aws.messages import DeliveryMessage, NewRow
from posthorn.delivery.throttling import DELAY, AttemptId
from posthorn.domain.errors import Unavailable
from posthorn.domain.models import FIRST_GENERATION, Delivery, DeliveryKey, Reason, Status

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from posthorn.aws.queues import Queues
    from posthorn.delivery.throttling import Throttling
    from posthorn.domain.models import Endpoint, Event
    from posthorn.stores.deliveries import Deliveries


@dataclass(frozen=True, slots=True)
class Enqueued:
    """The result of queueing deliveries; a delivery in neither list existed already."""

    queued: list[Delivery]
    failed: list[Delivery]


class DeliveryEnqueuer:
    """Queues deliveries for DeliverFunction."""

    def __init__(
        self,
        deliveries: Deliveries,
        queues: Queues,
        throttling: Throttling | None = None,
        *,
        clock: Callable[[], int],
    ) -> None:
        """Without `throttling`, a delivery whose row is refused fails."""
        self._deliveries = deliveries
        self._queues = queues
        self._throttling = throttling
        self._clock = clock

    def enqueue(self, pairs: Sequence[tuple[Event, Endpoint]]) -> Enqueued:
        """Write the row of every pair on the condition that it is new, then send the messages of the new rows.

        Rows are not written in batches of 25: a batch write has no conditions, and a row that another run of the
        same work wrote may have advanced since it was read.
        """
        now = self._clock()
        rows = [unsent(event, endpoint, Status.QUEUED, next_attempt_at=now) for event, endpoint in pairs]
        writes: list[tuple[Delivery, Future[bool]]] = []
        without_row: list[Delivery] = []
        for row in rows:
            if self._throttling is not None and self._throttling.covers(row.key.endpoint_id):
                without_row.append(row)
            else:
                writes.append((row, threads().submit(self._deliveries.create, row, now_ms=now)))
        recorded: list[Delivery] = []
        refused: list[Delivery] = []
        for row, write in writes:
            try:
                if write.result():
                    recorded.append(row)
            except Unavailable as error:
                telemetry.call_failed(error)
                refused.append(row)
        without_message = self._queues.enqueue_all(
            recorded, now_ms=self._clock(), on_error=telemetry.call_failed
        )
        if without_message:
            telemetry.messages_unsent(len(without_message))
        failed = refused + without_message
        if self._throttling is not None and (refused or without_row):
            self._throttling.refused(refused)
            failed = without_message + self._send_without_rows(self._throttling, without_row + refused)
        lost = {row.key for row in failed}
        return Enqueued([row for row in (*recorded, *without_row, *refused) if row.key not in lost], failed)

    def _send_without_rows(self, throttling: Throttling, rows: Sequence[Delivery]) -> list[Delivery]:
        """Send first attempts whose rows the claim writes; returns those that SQS did not accept."""
        messages = {_first_attempt(row): row for row in rows}
        unsent = self._queues.send_all(messages, delay=DELAY, on_error=telemetry.call_failed)
        for message, row in messages.items():
            if message not in unsent:
                throttling.queued(AttemptId(row.key, row.generation, message.attempt))
        return [messages[message] for message in unsent]


def _first_attempt(row: Delivery) -> DeliveryMessage:
    return DeliveryMessage(
        row.key,
        row.channel,
        generation=row.generation,
        attempt=1,
        new_row=NewRow(row.event_type, is_test=row.is_test),
    )


def unsent(
    event: Event,
    endpoint: Endpoint,
    status: Status,
    *,
    reason: Reason | None = None,
    next_attempt_at: int | None = None,
) -> Delivery:
    """Return the delivery of an event to an endpoint before any attempt."""
    return Delivery(
        key=DeliveryKey(endpoint_id=endpoint.id, event_id=event.id),
        channel=endpoint.channel,
        event_type=event.type,
        status=status,
        attempt=0,
        generation=FIRST_GENERATION,
        reason=reason,
        next_attempt_at=next_attempt_at,
        is_test=event.is_test,
    )
