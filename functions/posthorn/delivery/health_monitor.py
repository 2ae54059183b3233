"""Tracks the health of endpoints while attempts are made, and warns about or disables endpoints that keep failing.

Nothing here affects the deliveries themselves: they stand even if an update of the endpoint fails.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from posthorn import telemetry
from posthorn.delivery import notices, operational_events
from posthorn.domain.errors import Unavailable
from posthorn.domain.health_policy import DISABLE_AFTER_MS, MIN_UNDELIVERED, HealthChange, assess
from posthorn.domain.models import DisabledReason, Health, Status

if TYPE_CHECKING:
    from collections.abc import Callable

    from posthorn.delivery.sender import AttemptResult
    from posthorn.domain.models import Endpoint
    from posthorn.stores.delivery_counts import DeliveryCounts
    from posthorn.stores.endpoint_states import EndpointStates

REMEMBERED: Final = 10_000
"""Endpoints whose last attempts a process remembers: about 3 MB; the oldest is dropped first."""

_NOTHING: Final = HealthChange()


@dataclass(slots=True)
class _Memory:
    """What a process knows about one revision of an endpoint."""

    revision: int
    in_a_row: int = 0  # attempts without success
    acted_on: tuple[Health, int | None, HealthChange] | None = (
        None  # the last change, and the state it was decided in
    )


class HealthMonitor:
    """Watches the endpoints that one process sends to."""

    def __init__(
        self,
        states: EndpointStates,
        counts: DeliveryCounts,
        *,
        clock: Callable[[], int],
        has_notices: bool = False,
    ) -> None:
        self._states = states
        self._counts = counts
        self._has_notices = has_notices  # whether the operator is told, too
        self._clock = clock
        self._memories: OrderedDict[str, _Memory] = OrderedDict()

    def observe(self, result: AttemptResult) -> Callable[[], None] | None:
        """Note an attempt; returns the follow-up for its endpoint, None for nothing to do.

        Call it from one thread. Call the follow-up from any thread, after the attempt is recorded.
        """
        endpoint = result.planned.endpoint
        memory = self._memory_of(endpoint)
        memory.in_a_row = 0 if result.transition.status is Status.DELIVERED else memory.in_a_row + 1
        change = assess(
            endpoint,
            result.attempt.outcome,
            result.transition,
            in_a_row=memory.in_a_row,
            now_ms=self._clock(),
        )
        if result.transition.disable is not None:
            reason = result.transition.disable
            return lambda: self._carefully(lambda: self._disable(result, reason), memory)
        what = (endpoint.health, endpoint.health_since, change)
        if change == _NOTHING:
            return None
        if memory.acted_on == what and not change.to_be_disabled:
            return None  # a second attempt in a batch decides the same as the first; but each may be the twentieth undelivered one
        memory.acted_on = what
        return lambda: self._carefully(lambda: self._act(result, change), memory)

    def keeps_apart(self, endpoint: Endpoint) -> bool:
        """Tell whether an endpoint must be kept apart from the others, as it was read or as observed since."""
        memory = self._memories.get(endpoint.id)
        if memory is not None and memory.revision == endpoint.revision and memory.acted_on is not None:
            health, since, change = memory.acted_on
            if (health, since) == (endpoint.health, endpoint.health_since) and change.becomes is not None:
                return change.becomes is not Health.HEALTHY
        return endpoint.health is not Health.HEALTHY

    def _memory_of(self, endpoint: Endpoint) -> _Memory:
        memory = self._memories.pop(endpoint.id, None)
        if memory is None or memory.revision != endpoint.revision:
            memory = _Memory(endpoint.revision)
        self._memories[endpoint.id] = memory
        if len(self._memories) > REMEMBERED:
            self._memories.popitem(last=False)
        return memory

    def _act(self, result: AttemptResult, change: HealthChange) -> None:
        endpoint, now = result.planned.endpoint, self._clock()
        if change.becomes is not None:
            self._states.move(endpoint, change.becomes, now_ms=now)
            return
        since = endpoint.health_since or now
        if change.to_be_disabled and self._is_given_up(endpoint, since):
            self._disable(result, DisabledReason.FAILING)
        elif change.to_be_warned:
            until = max(since + DISABLE_AFTER_MS, now)
            notice = notices.failing(result, since_ms=since, until_ms=until) if self._has_notices else None
            operational_event = operational_events.failing(
                endpoint, since_ms=since, until_ms=until, now_ms=now, notice=notice
            )
            self._states.warn(endpoint, operational_event, now_ms=now)

    def _is_given_up(self, endpoint: Endpoint, since: int) -> bool:
        undelivered = self._counts.undelivered(endpoint.id, since_ms=since, limit=MIN_UNDELIVERED)
        return undelivered.number >= MIN_UNDELIVERED

    def _disable(self, result: AttemptResult, reason: DisabledReason) -> None:
        endpoint, now = result.planned.endpoint, self._clock()
        since = (endpoint.health_since or now) if endpoint.health is Health.FAILING else now
        notice = notices.disabled(result, reason, since_ms=since) if self._has_notices else None
        operational_event = operational_events.disabled(endpoint, reason, now_ms=now, notice=notice)
        self._states.disable(endpoint, reason, operational_event, now_ms=now)

    def _carefully(self, act: Callable[[], None], memory: _Memory) -> None:
        try:
            act()
        except Unavailable as error:
            telemetry.call_failed(error)
            memory.acted_on = None  # the next attempt decides it again
