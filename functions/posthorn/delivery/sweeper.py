"""Sends another message for attempts that are overdue because their message was lost."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from posthorn import telemetry
from posthorn.delivery.requeue import requeue
from posthorn.domain.errors import Unavailable

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from posthorn.aws.queues import Queues
    from posthorn.stores.overdue_deliveries import OverdueDeliveries, OverdueDelivery

MARGIN_MS: Final = 10_000
"""Time that must be left to begin another page: a page of rows and messages takes a second or two."""

PAGE: Final = 100
LIMIT: Final = 10_000
"""Rows per run. The rest wait for the next run: 100,000 take ten runs, so the queues are not flooded."""


@dataclass(slots=True)
class Swept:
    """The result of a run."""

    enqueued: int = 0
    left: int = 0  # claimed by a worker or another sweeper, settled since, or unreadable
    unsent: int = 0  # moved to now without a message; overdue again after the grace period
    complete: bool = True  # nothing overdue was left for the next run


class Sweeper:
    """Finds overdue deliveries and sends their messages again."""

    def __init__(
        self, due: OverdueDeliveries, queues: Queues, *, clock: Callable[[], int], grace_ms: int
    ) -> None:
        self._due = due
        self._queues = queues
        self._clock = clock
        self._grace_ms = grace_ms

    def sweep(self, *, remaining_ms: Callable[[], int]) -> Swept:
        """Queue deliveries that have been due for longer than the grace period, while there is time.

        Raises `Unavailable` when an AWS call fails.
        """
        swept = Swept()
        before = self._clock() - self._grace_ms
        shards: list[tuple[int, OverdueDelivery | None]] = [(shard, None) for shard in self._due.shards]
        try:
            while shards:
                waiting, shards = shards, []
                for shard, after in waiting:  # round robin, so that no shard waits for another
                    if remaining_ms() < MARGIN_MS or swept.enqueued + swept.left >= LIMIT:
                        swept.complete = False
                        return swept
                    page, last = self._due.page(shard, before_ms=before, after=after, limit=PAGE)
                    self._enqueue(page, swept)
                    if last is not None:
                        shards.append((shard, last))
        except Unavailable as error:
            telemetry.call_failed(error)
            raise
        finally:
            telemetry.sweep_finished(
                enqueued=swept.enqueued, left=swept.left, unsent=swept.unsent, complete=swept.complete
            )
        return swept

    def _enqueue(self, page: Sequence[OverdueDelivery], swept: Swept) -> None:
        requeued = requeue(self._due, self._queues, page, now_ms=self._clock())
        swept.enqueued += requeued.enqueued
        swept.left += requeued.left
        swept.unsent += requeued.unsent
        if requeued.outage is not None:
            swept.complete = False
            raise requeued.outage
