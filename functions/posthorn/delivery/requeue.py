"""Sends another message for deliveries whose message was lost."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from posthorn import telemetry
from posthorn.aws.clients import threads
from posthorn.domain.errors import Malformed, OperatorError, Unavailable

if TYPE_CHECKING:
    from collections.abc import Sequence

    from posthorn.aws.queues import Queues
    from posthorn.domain.models import Delivery
    from posthorn.stores.overdue_deliveries import OverdueDeliveries, OverdueDelivery


@dataclass(frozen=True, slots=True)
class Requeued:
    """The result of requeueing deliveries."""

    enqueued: int
    left: int  # claimed by a worker or requeued by another invocation, settled since, or unreadable
    unsent: int  # moved to now without a message; overdue again after the grace period
    outage: Unavailable | None = (
        None  # why some were neither moved nor left, or what only an operator can mend
    )


def requeue(
    due: OverdueDeliveries, queues: Queues, page: Sequence[OverdueDelivery], *, now_ms: int
) -> Requeued:
    """Make overdue deliveries due now, then send their messages.

    The row is written before the message is sent: a moved row is no longer overdue for another invocation, and if its
    message is never sent, it is overdue again after another grace period.
    """
    moves = [(one, threads().submit(due.move, one, now_ms=now_ms)) for one in page]
    rows: list[Delivery] = []
    left = 0
    outage: Unavailable | None = None
    for one, move in moves:
        try:
            row = move.result()
        except Unavailable as error:
            outage = error
        except Malformed as error:
            telemetry.row_unreadable(f"{one.key.endpoint_id} {one.key.event_id}", str(error))
            left += 1
        else:
            if row is None:
                left += 1
            else:
                rows.append(row)
    errors: list[Unavailable] = []
    unsent = len(queues.enqueue_all(rows, now_ms=now_ms, on_error=errors.append))
    # a message that SQS fails to take is sent by a later run; one that it refuses needs the operator's alarm
    outage = outage or next((error for error in errors if isinstance(error, OperatorError)), None)
    return Requeued(len(rows) - unsent, left, unsent, outage)
