"""The rules by which the outcomes of attempts change an endpoint's health."""

from dataclasses import dataclass
from typing import Final

from posthorn.domain.models import Endpoint, Failure, Health, Outcome, Reason, Status
from posthorn.domain.retry_policy import Transition

SLOW_MS: Final = 5_000
"""An attempt that takes this long delays others: half of the default deadline."""

QUICK_MS: Final = 2_000
"""A response within this time means that a slow endpoint has recovered. Well below `SLOW_MS`, so that an endpoint
near one limit does not flap."""

MIN_SLOW_MS: Final = 60_000
"""The minimum time an endpoint stays slow, so that its row is written at most twice a minute."""

FAILURES_IN_A_ROW: Final = 5
"""Consecutive failed attempts that make an endpoint failing before any delivery is exhausted."""

_DAY_MS: Final = 86_400_000
WARN_AFTER_MS: Final = _DAY_MS
DISABLE_AFTER_MS: Final = 5 * _DAY_MS

MIN_UNDELIVERED: Final = 20
"""An endpoint is disabled for failing only with this many undelivered deliveries since it began to fail."""


@dataclass(frozen=True, slots=True)
class HealthChange:
    """How an attempt changes its endpoint's health."""

    becomes: Health | None = None  # None: no change
    to_be_disabled: bool = False  # if enough deliveries are undelivered
    to_be_warned: bool = False


def assess(
    endpoint: Endpoint, outcome: Outcome, transition: Transition, *, in_a_row: int, now_ms: int
) -> HealthChange:
    """Return what an attempt changes for its endpoint, which was read before the attempt.

    `in_a_row` counts its consecutive failed attempts, this one included; 0 after a 2xx.
    """
    if endpoint.health is Health.FAILING and in_a_row:
        ill_for = now_ms - (endpoint.health_since or now_ms)
        return HealthChange(
            to_be_disabled=transition.status is Status.FAILED and ill_for >= DISABLE_AFTER_MS,
            to_be_warned=endpoint.warned_at is None and ill_for >= WARN_AFTER_MS,
        )
    becomes = _becomes(endpoint, outcome, transition, in_a_row, now_ms)
    return HealthChange(None if becomes is endpoint.health else becomes)


def _becomes(
    endpoint: Endpoint, outcome: Outcome, transition: Transition, in_a_row: int, now_ms: int
) -> Health:
    if in_a_row >= FAILURES_IN_A_ROW or transition.reason is Reason.EXHAUSTED:
        return Health.FAILING
    took = outcome.timings.total
    if outcome.failure is Failure.TIMEOUT or took >= SLOW_MS:
        return Health.SLOW
    if endpoint.health is Health.SLOW:
        settled = now_ms - (endpoint.health_since or 0) >= MIN_SLOW_MS
        return Health.HEALTHY if not in_a_row and took < QUICK_MS and settled else Health.SLOW
    return Health.HEALTHY
