"""How an endpoint's health follows from what its attempts come to: the rules, and nothing but them."""

from dataclasses import dataclass
from typing import Final

from posthorn.domain.models import Endpoint, Failure, Health, Outcome, Reason, Status
from posthorn.domain.retry_policy import Transition

SLOW_MS: Final = 5_000
"""An attempt that takes as long as this holds up others: half of the default deadline."""

QUICK_MS: Final = 2_000
"""An answer within this time says that a slow endpoint has recovered; well below `SLOW_MS`, so that one
that takes about as long as either does not go back and forth."""

MIN_SLOW_MS: Final = 60_000
"""The least time that an endpoint stays slow, so that its row is written at most twice a minute."""

FAILURES_IN_A_ROW: Final = 5
"""Attempts without a 2xx between them that make an endpoint failing before any delivery is exhausted."""

_DAY_MS: Final = 86_400_000
WARN_AFTER_MS: Final = _DAY_MS
DISABLE_AFTER_MS: Final = 5 * _DAY_MS

MIN_UNDELIVERED: Final = 20
"""Undelivered deliveries since it began to fail, without which no endpoint is disabled for failing."""


@dataclass(frozen=True, slots=True)
class HealthChange:
    """What an attempt says about its endpoint."""

    becomes: Health | None = None  # None: it stays as it is
    to_be_disabled: bool = False  # if enough is undelivered
    to_be_warned: bool = False


def assess(
    endpoint: Endpoint, outcome: Outcome, transition: Transition, *, in_a_row: int, now_ms: int
) -> HealthChange:
    """Return what follows for the endpoint, as it was read before the attempt.

    `in_a_row` counts its attempts without success, this one included; 0 after a 2xx.
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
