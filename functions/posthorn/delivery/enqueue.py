"""Queues first attempts that dispatch does not make itself: a row each, then a message to DeliverQueue."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from posthorn import telemetry
from posthorn.aws.clients import threads
from posthorn.domain.errors import Unavailable
from posthorn.domain.models import FIRST_GENERATION, Delivery, DeliveryKey, Reason, Status

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from posthorn.aws.queues import Queues
    from posthorn.domain.models import Endpoint, Event
    from posthorn.stores.deliveries import Deliveries


@dataclass(frozen=True, slots=True)
class Enqueued:
    """The result of queueing deliveries; a delivery in neither list existed already."""

    queued: list[Delivery]
    failed: list[Delivery]


class DeliveryEnqueuer:
    """Queues deliveries for DeliverFunction."""

    def __init__(self, deliveries: Deliveries, queues: Queues, *, clock: Callable[[], int]) -> None:
        self._deliveries = deliveries
        self._queues = queues
        self._clock = clock

    def enqueue(self, pairs: Sequence[tuple[Event, Endpoint]]) -> Enqueued:
        """Write the row of every pair on the condition that it is new, then send the messages of the new rows.

        Rows are not written in batches of 25: a batch write has no conditions, and a row that another run of the
        same work wrote may have advanced since it was read.
        """
        now = self._clock()
        rows = [unsent(event, endpoint, Status.QUEUED, next_attempt_at=now) for event, endpoint in pairs]
        writes = [(row, threads().submit(self._deliveries.create, row, now_ms=now)) for row in rows]
        recorded: list[Delivery] = []
        failed: list[Delivery] = []
        for row, write in writes:
            try:
                if write.result():
                    recorded.append(row)
            except Unavailable as error:
                telemetry.call_failed(error)
                failed.append(row)
        without_message = self._queues.enqueue_all(
            recorded, now_ms=self._clock(), on_error=telemetry.call_failed
        )
        if without_message:
            telemetry.messages_unsent(len(without_message))
        lost = {row.key for row in without_message}
        return Enqueued([row for row in recorded if row.key not in lost], failed + without_message)


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
