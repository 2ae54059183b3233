"""How an endpoint's health follows from its attempts."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from posthorn.domain.endpoint_kind import EndpointKind, PayloadFormat
from posthorn.domain.health_policy import (
    DISABLE_AFTER_MS,
    FAILURES_IN_A_ROW,
    MIN_SLOW_MS,
    QUICK_MS,
    SLOW_MS,
    WARN_AFTER_MS,
    HealthChange,
    assess,
)
from posthorn.domain.models import Endpoint, Failure, Health, Outcome, Reason, SealedSecret, Status, Timings
from posthorn.domain.retry_policy import after_attempt

NOW: Final = 1_681_659_900_000
ENDPOINT: Final = Endpoint(
    id="wh_01GY5BVC30BPC335BN0KCGXRQ8",
    channel="wksp_01GY5BVC30BPC335BN0KCGXRQ8",
    workspace="wksp_01GY5BVC30BPC335BN0KCGXRQ8",
    kind=EndpointKind.WEBHOOK,
    format=PayloadFormat.EVENT_JSON,
    url="https://hooks.example.com/hook",
    events=("*",),
    secret=SealedSecret(b"", 1),
    created_at=NOW,
)


def outcome(status: int | None = 200, *, took: int = 50, failure: Failure | None = None) -> Outcome:
    timings = Timings(dns=0, connect=0, tls=0, first_byte=took, total=took)
    return Outcome(timings, status=None if failure else status, failure=failure)


def find(endpoint: Endpoint, one: Outcome, *, in_a_row: int | None = None, attempt: int = 1) -> HealthChange:
    transition = after_attempt(
        one, attempt=attempt, delays=(60, 300, 900), retry_rate_limited=False, now_ms=NOW
    )
    if in_a_row is None:
        in_a_row = 0 if transition.status is Status.DELIVERED else 1
    return assess(endpoint, one, transition, in_a_row=in_a_row, now_ms=NOW)


def ill(health: Health, *, ago: int, warned: bool = False) -> Endpoint:
    return replace(
        ENDPOINT, health=health, health_since=NOW - ago, warned_at=NOW - ago + 1 if warned else None
    )


SLOW = ill(Health.SLOW, ago=MIN_SLOW_MS)
FAILING = ill(Health.FAILING, ago=1000)


@pytest.mark.parametrize(
    ("before", "one", "becomes"),
    [
        (ENDPOINT, outcome(), None),
        (ENDPOINT, outcome(took=SLOW_MS - 1), None),
        (ENDPOINT, outcome(took=SLOW_MS), Health.SLOW),
        (ENDPOINT, outcome(500, took=SLOW_MS), Health.SLOW),
        (ENDPOINT, outcome(failure=Failure.TIMEOUT, took=1000), Health.SLOW),  # whatever the deadline
        (ENDPOINT, outcome(failure=Failure.CONNECT), None),
        (ENDPOINT, outcome(404), None),
        (SLOW, outcome(took=QUICK_MS - 1), Health.HEALTHY),
        (SLOW, outcome(took=QUICK_MS), None),
        (SLOW, outcome(404), None),
        (SLOW, outcome(500), None),
        (ill(Health.SLOW, ago=MIN_SLOW_MS - 1), outcome(), None),
        (FAILING, outcome(), Health.HEALTHY),
        (FAILING, outcome(took=SLOW_MS), Health.SLOW),
        (FAILING, outcome(500), None),
        (FAILING, outcome(failure=Failure.TIMEOUT, took=SLOW_MS), None),
    ],
)
def test_one_attempt(before: Endpoint, one: Outcome, becomes: Health | None) -> None:
    """The effect of one attempt on the endpoint's health, at the edges of every limit."""
    assert find(before, one) == HealthChange(becomes)


@pytest.mark.parametrize("before", [ENDPOINT, SLOW])
@pytest.mark.parametrize(
    "one",
    [outcome(status) for status in (301, 400, 404, 429, 500, 503)]
    + [outcome(failure=failure, took=SLOW_MS) for failure in Failure],
)
def test_five_failures_in_a_row_of_any_kind_make_it_failing(before: Endpoint, one: Outcome) -> None:
    """Rejections count as failures too: either way the owner receives no events."""
    assert find(before, one, in_a_row=FAILURES_IN_A_ROW - 1).becomes is not Health.FAILING
    assert find(before, one, in_a_row=FAILURES_IN_A_ROW) == HealthChange(Health.FAILING)


def test_an_exhausted_delivery_makes_it_failing() -> None:
    """One exhausted delivery is enough: four attempts over 21 minutes failed."""
    assert find(ENDPOINT, outcome(500), attempt=4) == HealthChange(Health.FAILING)


@pytest.mark.parametrize(
    ("ago", "status", "warned", "change"),
    [
        (WARN_AFTER_MS - 1, 500, False, HealthChange()),
        (WARN_AFTER_MS, 500, False, HealthChange(to_be_warned=True)),
        (WARN_AFTER_MS, 500, True, HealthChange()),
        (DISABLE_AFTER_MS - 1, 404, True, HealthChange()),
        (DISABLE_AFTER_MS, 404, True, HealthChange(to_be_disabled=True)),
        (DISABLE_AFTER_MS, 404, False, HealthChange(to_be_disabled=True, to_be_warned=True)),
        (DISABLE_AFTER_MS, 500, True, HealthChange()),  # waiting for a retry
        (DISABLE_AFTER_MS, 200, True, HealthChange(Health.HEALTHY)),
    ],
)
def test_days_of_failures(ago: int, status: int, warned: bool, change: HealthChange) -> None:
    """A failing endpoint is warned about after one day and disabled after five; a 2xx resets both."""
    assert find(ill(Health.FAILING, ago=ago, warned=warned), outcome(status)) == change


OUTCOMES = st.builds(
    outcome,
    st.sampled_from([200, 204, 301, 400, 410, 500, 503]),
    took=st.integers(0, 20_000),
    failure=st.sampled_from([None, None, *Failure]),
)


@given(OUTCOMES, st.sampled_from([ENDPOINT, SLOW, FAILING]), st.integers(1, 4))
def test_a_repeated_outcome_changes_nothing(one: Outcome, before: Endpoint, attempt: int) -> None:
    """Once the state is written, the same outcome changes nothing, so rows do not flip back and forth."""
    first = find(before, one, attempt=attempt)
    after = before if first.becomes is None else replace(before, health=first.becomes, health_since=NOW)

    assert find(after, one, attempt=attempt).becomes is None


@given(OUTCOMES, st.integers(1, 4), st.integers(0, 10 * DISABLE_AFTER_MS))
def test_only_a_2xx_ends_failing(one: Outcome, attempt: int, ago: int) -> None:
    """Every 2xx makes a failing endpoint healthy; no failure of any kind does."""
    found = find(ill(Health.FAILING, ago=ago), one, attempt=attempt)
    transition = after_attempt(
        one, attempt=attempt, delays=(60, 300, 900), retry_rate_limited=False, now_ms=NOW
    )

    assert (found.becomes is not None) == (transition.status is Status.DELIVERED)
    assert not found.to_be_disabled or transition.reason in {
        Reason.EXHAUSTED,
        Reason.REJECTED,
        Reason.REDIRECTED,
        Reason.BLOCKED_ADDRESS,
    }
