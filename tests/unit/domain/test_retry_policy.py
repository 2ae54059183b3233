"""The retry rules, row by row: which transition each attempt's outcome leads to."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Final

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from posthorn.domain.models import DisabledReason, Failure, Outcome, Reason, Status, Timings
from posthorn.domain.retry_policy import MAX_DELAY, Transition, after_attempt

DELAYS: Final = (60, 300, 900)
NOW_MS: Final = 1_681_659_900_000
NOW: Final = datetime.fromtimestamp(NOW_MS / 1000, UTC)
TIMINGS: Final = Timings(dns=1, connect=2, tls=3, first_byte=4, total=5)

RETRYABLE: Final = tuple(failure for failure in Failure if failure is not Failure.BLOCKED_ADDRESS)


def outcome(
    status: int | None = None, *, failure: Failure | None = None, retry_after: str | None = None
) -> Outcome:
    headers = () if retry_after is None else (("content-type", "text/html"), ("retry-after", retry_after))
    return Outcome(TIMINGS, status=status, failure=failure, headers=headers)


def after(one: Outcome, *, attempt: int = 1, opted_in: bool = False) -> Transition:
    return after_attempt(one, attempt=attempt, delays=DELAYS, retry_rate_limited=opted_in, now_ms=NOW_MS)


def retry(delay: int) -> Transition:
    return Transition(Status.RETRYING, delay=delay)


DELIVERED: Final = Transition(Status.DELIVERED)
REJECTED: Final = Transition(Status.FAILED, Reason.REJECTED)
REDIRECTED: Final = Transition(Status.FAILED, Reason.REDIRECTED)
EXHAUSTED: Final = Transition(Status.FAILED, Reason.EXHAUSTED)
BLOCKED: Final = Transition(Status.FAILED, Reason.BLOCKED_ADDRESS)
GONE: Final = Transition(Status.FAILED, Reason.REJECTED, disable=DisabledReason.GONE)


@pytest.mark.parametrize(
    ("what", "transition"),
    [
        # 2xx
        (outcome(200), DELIVERED),
        (outcome(202), DELIVERED),
        (outcome(204), DELIVERED),
        (outcome(299), DELIVERED),
        # 5xx, timeout, connection refused or reset, DNS failure, TLS failure
        (outcome(500), retry(60)),
        (outcome(502), retry(60)),
        (outcome(503), retry(60)),
        (outcome(599), retry(60)),
        # a status of no known class: treated as 5xx (RFC 9110, 15)
        (outcome(600), retry(60)),
        (outcome(999), retry(60)),
        (outcome(600, retry_after="120"), retry(120)),
        (outcome(failure=Failure.TIMEOUT), retry(60)),
        (outcome(failure=Failure.CONNECT), retry(60)),
        (outcome(failure=Failure.NETWORK), retry(60)),
        (outcome(failure=Failure.DNS), retry(60)),
        (outcome(failure=Failure.TLS), retry(60)),
        # 5xx with Retry-After
        (outcome(503, retry_after="120"), retry(120)),
        (outcome(500, retry_after="120"), retry(120)),
        (outcome(503, retry_after="1"), retry(60)),
        (outcome(503, retry_after="86400"), retry(900)),
        # 4xx
        (outcome(400), REJECTED),
        (outcome(401), REJECTED),
        (outcome(404), REJECTED),
        (outcome(408), REJECTED),
        (outcome(422), REJECTED),
        (outcome(429), REJECTED),
        (outcome(429, retry_after="5"), REJECTED),
        (outcome(499), REJECTED),
        # 410
        (outcome(410), GONE),
        # 3xx
        (outcome(300), REDIRECTED),
        (outcome(301), REDIRECTED),
        (outcome(304), REDIRECTED),
        (outcome(308), REDIRECTED),
        (outcome(301, retry_after="5"), REDIRECTED),
        # address blocked by the guard
        (outcome(failure=Failure.BLOCKED_ADDRESS), BLOCKED),
        # a response that does not complete in time is a timeout
        (outcome(200, failure=Failure.TIMEOUT), retry(60)),
        (outcome(200, failure=Failure.NETWORK), retry(60)),
        (outcome(404, failure=Failure.TIMEOUT), retry(60)),
        (outcome(503, failure=Failure.TIMEOUT, retry_after="600"), retry(60)),
    ],
    ids=lambda value: (
        f"{value.status} {value.failure} {dict(value.headers).get('retry-after')}"
        if isinstance(value, Outcome)
        else value.status
    ),
)
def test_every_row_of_the_rules(what: Outcome, transition: Transition) -> None:
    """Each outcome of a first attempt has the result that the published rules give."""
    assert after(what) == transition


@pytest.mark.parametrize("status", [408, 429])
def test_an_endpoint_may_ask_for_retries_when_it_is_busy(status: int) -> None:
    """With `retry_rate_limited`, 408 and 429 are retried like 5xx and respect `Retry-After`."""
    assert after(outcome(status), opted_in=True) == retry(60)
    assert after(outcome(status, retry_after="120"), opted_in=True) == retry(120)
    assert after(outcome(status), opted_in=True, attempt=4) == EXHAUSTED


@given(status=st.integers(100, 599), attempt=st.integers(1, 4), opted_in=st.booleans())
def test_every_status_belongs_to_one_rule(status: int, attempt: int, opted_in: bool) -> None:
    """A status is handled by its class; only 408, 410 and 429 have rules of their own."""
    transition = after(outcome(status), attempt=attempt, opted_in=opted_in)
    again = retry(DELAYS[attempt - 1]) if attempt < 4 else EXHAUSTED
    if 200 <= status < 300:
        assert transition == DELIVERED
    elif 300 <= status < 400:
        assert transition == REDIRECTED
    elif status == 410:
        assert transition == GONE
    elif status in {408, 429} and opted_in:
        assert transition == again
    elif 400 <= status < 500:
        assert transition == REJECTED
    else:
        assert transition == again


@pytest.mark.parametrize("what", [outcome(500), *(outcome(failure=failure) for failure in RETRYABLE)])
def test_three_retries_and_then_no_more(what: Outcome) -> None:
    """Retries follow after 1, 5 and 15 minutes, and the fourth attempt is the last."""
    assert [after(what, attempt=attempt) for attempt in (1, 2, 3, 4, 5)] == [
        retry(60),
        retry(300),
        retry(900),
        EXHAUSTED,
        EXHAUSTED,
    ]


@pytest.mark.parametrize("attempt", [1, 2, 3, 4])
@pytest.mark.parametrize(
    ("what", "transition"),
    [
        (outcome(200), DELIVERED),
        (outcome(404), REJECTED),
        (outcome(410), GONE),
        (outcome(307), REDIRECTED),
        (outcome(failure=Failure.BLOCKED_ADDRESS), BLOCKED),
    ],
    ids=["200", "404", "410", "307", "blocked"],
)
def test_final_outcomes_are_final_at_every_attempt(
    attempt: int, what: Outcome, transition: Transition
) -> None:
    """A success, a rejection or a blocked address ends a delivery at any attempt."""
    assert after(what, attempt=attempt) == transition


@pytest.mark.parametrize(
    ("value", "delay"),
    [
        # seconds
        ("0", 60),
        ("59", 60),
        ("60", 60),
        ("61", 61),
        ("900", 900),
        ("901", 900),
        ("99999999", 900),
        ("9" * 5000, 900),
        (" 120 ", 120),
        ("0120", 120),
        # HTTP dates (RFC 9110, 5.6.7), including the two obsolete forms
        ("Sun, 16 Apr 2023 15:48:20 GMT", 200),
        ("Sunday, 16-Apr-23 15:48:20 GMT", 200),
        ("Sun Apr 16 15:48:20 2023", 200),
        ("Sun, 16 Apr 2023 17:48:20 +0200", 200),
        ("Sun, 16 Apr 2023 15:44:00 GMT", 60),  # in the past
        ("Thu, 01 Jan 1970 00:00:00 GMT", 60),
        ("Fri, 31 Dec 9999 23:59:59 GMT", 900),
        # neither a date nor a number: ignored
        ("", 60),
        ("-1", 60),
        ("-600", 60),
        ("+600", 60),
        ("600.5", 60),
        ("6e2", 60),
        ("0x600", 60),
        ("\u0666\u0660\u0660", 60),
        ("soon", 60),
        ("600, 700", 60),
        ("Sun, 99 Apr 2023 15:48:20 GMT", 60),
        ("Sun, 16 Apr 2023 99:99:99 GMT", 60),
        ("Sun, 16 Apr 2023 15:48:20 +9999", 60),
    ],
)
def test_the_delay_that_retry_after_requests(value: str, delay: int) -> None:
    """The longer of the schedule and the header applies, up to 15 minutes; nonsense is ignored."""
    assert after(outcome(503, retry_after=value)) == retry(delay)


@pytest.mark.parametrize(
    "value",
    [
        "Sun, 16 Apr 2023 15:48:20 +99999999999999999999",
        "Sun, 16 Apr 99999999999999999999 15:48:20 GMT",
        "Sun, 99999999999999999999 Apr 2023 15:48:20 GMT",
        "1 Jan 1 0:0:99999999999999999999",
        "Mon, 01 Jan 0001 00:00:00 +2359",
        "Fri, 31 Dec 9999 23:59:59 -2359",
    ],
)
def test_a_monstrous_date_does_no_harm(value: str) -> None:
    """No `Retry-After` date can break a delivery, let alone its batch."""
    assert after(outcome(503, retry_after=value)).status is Status.RETRYING


_DATE_PARTS: Final = (
    *("Sun,", "Sunday,", "16", "Apr", "16-Apr-23", "2023", "0001", "9999", "0", "99"),
    *("15:48:20", "23:59", "1.2.3", "PM", "GMT", "Z", "+0000", "-2359", "+9999"),
    *("999999999999", "99999999999999999999", "+99999999999999999999", "\u0663", "\u00b2"),
    *("+", "-", ",", ":", "(", ")"),
)


@given(value=st.text(max_size=30) | st.lists(st.sampled_from(_DATE_PARTS), max_size=7).map(" ".join))
@example("Jan +99999999999999999999 1999 23:59:59 23:59:59")
def test_no_retry_after_breaks_the_rules(value: str) -> None:
    """For any header, the next attempt comes between the scheduled delay and 15 minutes."""
    transition = after(outcome(503, retry_after=value))
    assert transition.status is Status.RETRYING
    assert transition.delay is not None
    assert 60 <= transition.delay <= MAX_DELAY


@given(seconds=st.integers(-10_000, 10_000))
def test_a_date_and_its_distance_in_seconds_ask_for_the_same(seconds: int) -> None:
    """`Retry-After` as a date and as seconds means the same."""
    moment = format_datetime(NOW + timedelta(seconds=seconds), usegmt=True)
    assert after(outcome(503, retry_after=moment)) == after(outcome(503, retry_after=str(max(seconds, 0))))


@pytest.mark.parametrize(("later", "delay"), [(1, 200), (0, 200), (-1, 201)])
def test_a_part_of_a_second_is_rounded_up(later: int, delay: int) -> None:
    """The next attempt never comes earlier than requested, not even by a millisecond."""
    transition = after_attempt(
        outcome(503, retry_after="Sun, 16 Apr 2023 15:48:20 GMT"),
        attempt=1,
        delays=DELAYS,
        retry_rate_limited=False,
        now_ms=NOW_MS + later,
    )
    assert transition == retry(delay)


@given(status=st.integers(200, 599), attempt=st.integers(1, 3), opted_in=st.booleans())
def test_retry_after_counts_only_where_a_retry_follows(status: int, attempt: int, opted_in: bool) -> None:
    """The header delays a retry; it never causes one."""
    without = after(outcome(status), attempt=attempt, opted_in=opted_in)
    asked = after(outcome(status, retry_after="800"), attempt=attempt, opted_in=opted_in)
    if without.status is Status.RETRYING:
        assert asked == retry(max(800, DELAYS[attempt - 1]))
    else:
        assert asked == without


def test_a_longer_schedule_is_followed_to_its_end() -> None:
    """The number of attempts follows from the configured delays."""
    steps = [
        after_attempt(outcome(500), attempt=attempt, delays=(1, 2), retry_rate_limited=False, now_ms=NOW_MS)
        for attempt in (1, 2, 3)
    ]
    assert steps == [retry(1), retry(2), EXHAUSTED]


def test_a_date_of_no_zone_is_in_utc(monkeypatch: pytest.MonkeyPatch) -> None:
    """`-0000` means an unknown zone, which is read as UTC and not as the machine's zone."""
    in_five_minutes = format_datetime((NOW + timedelta(minutes=5)).replace(tzinfo=None))
    assert in_five_minutes.endswith("-0000")
    with monkeypatch.context() as patch:
        patch.setenv("TZ", "America/New_York")
        time.tzset()
        assert after(outcome(503, retry_after=in_five_minutes)) == retry(300)
    time.tzset()
