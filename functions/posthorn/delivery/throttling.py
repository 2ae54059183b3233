"""What one process remembers while DynamoDB refuses rows of the DeliveriesTable (decision 0030)."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Final, NamedTuple

from posthorn.domain.models import DeliveryKey  # noqa: TC001 - the fields of a named tuple are read at run time

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from posthorn.domain.models import Delivery

REMEMBERED_MS: Final = 60_000
"""How long an endpoint counts as throttled after a refusal. DynamoDB needs minutes to give a hot partition more; once a
minute, an attempt finds out."""

DELAY: Final = 20
"""Seconds that a message waits that stands for a refused row: what refused it just now needs a moment."""

TABLE_ENDPOINTS: Final = 5
"""Endpoints refused within that time that make it the table: one partition has the rows of one endpoint."""

HELD_LIMIT: Final = 1_000
"""Results kept in memory, a few KB each; an invocation makes no more attempts."""

QUEUED_LIMIT: Final = 10_000
"""Attempts known to be in a queue without a row."""


class AttemptId(NamedTuple):
    """Names one attempt."""

    key: DeliveryKey
    generation: int
    number: int


class Throttling:
    """Endpoints whose rows DynamoDB refused, and attempts that are not in the table although they are taken care of.

    Threads may share it. While nothing was refused, it is empty and costs nothing.
    """

    def __init__(self, *, clock: Callable[[], int]) -> None:
        self._clock = clock  # Unix milliseconds
        self._until: dict[str, int] = {}
        self._held: dict[AttemptId, Delivery] = {}
        self._queued: dict[AttemptId, None] = {}
        self._lock = threading.Lock()

    def refused(self, rows: Iterable[Delivery]) -> None:
        """Remember that DynamoDB refused to write these rows."""
        now = self._clock()
        with self._lock:
            known = {one: until for one, until in self._until.items() if until > now}
            self._until = known | {row.key.endpoint_id: now + REMEMBERED_MS for row in rows}

    def covers(self, endpoint_id: str) -> bool:
        """Whether the rows of an endpoint have to be expected to be refused."""
        if not self._until:
            return False
        now = self._clock()
        active = [one for one, until in self._until.items() if until > now]
        return endpoint_id in active or len(active) >= TABLE_ENDPOINTS

    def hold(self, attempt: AttemptId, result: Delivery) -> None:
        """Keep the result of an attempt that neither DynamoDB nor SQS took."""
        with self._lock:
            _make_room(self._held, HELD_LIMIT)
            self._held[attempt] = result

    def held(self, attempt: AttemptId) -> Delivery | None:
        """Return the result of an attempt that this process made and nothing else knows of."""
        return self._held.get(attempt)

    def queued(self, attempt: AttemptId) -> None:
        """Remember that a message takes care of an attempt, so that nothing else needs to."""
        with self._lock:
            self._held.pop(attempt, None)
            _make_room(self._queued, QUEUED_LIMIT)
            self._queued[attempt] = None

    def written(self, attempt: AttemptId) -> None:
        """Forget a result that is on record now."""
        with self._lock:
            self._held.pop(attempt, None)

    def is_queued(self, attempt: AttemptId) -> bool:
        return attempt in self._queued


def _make_room[T](entries: dict[AttemptId, T], limit: int) -> None:
    while len(entries) >= limit:
        del entries[next(iter(entries))]  # the oldest
