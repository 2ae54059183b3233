"""The retry rules: what follows from the outcome of an attempt."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC
from typing import Final

from posthorn.domain.models import DisabledReason, Failure, Outcome, Reason, Status

MAX_DELAY: Final = 900
"""Seconds; the longest delay of an SQS message, and so the limit for `Retry-After`."""

_RATE_LIMITED: Final = frozenset({408, 429})


@dataclass(frozen=True, slots=True)
class Transition:
    """The state of a delivery after an attempt."""

    status: Status
    reason: Reason | None = None
    delay: int | None = None  # seconds until the next attempt, only with `retrying`
    disable: DisabledReason | None = None  # why the endpoint must be disabled, if it must


def after_attempt(
    outcome: Outcome, *, attempt: int, delays: Sequence[int], retry_rate_limited: bool, now_ms: int
) -> Transition:
    """Return what follows the attempt with this number.

    Attempts count from 1, delays from 0: `delays[n - 1]` is the number of seconds between attempts n and n + 1.
    """
    if outcome.failure is Failure.BLOCKED_ADDRESS:
        return Transition(Status.FAILED, Reason.BLOCKED_ADDRESS)
    status = outcome.status
    if outcome.failure is None and status is not None:
        if 200 <= status < 300:
            return Transition(Status.DELIVERED)
        if 300 <= status < 400:
            return Transition(Status.FAILED, Reason.REDIRECTED)
        if status == 410:
            return Transition(Status.FAILED, Reason.REJECTED, disable=DisabledReason.GONE)
        if 400 <= status < 500 and not (retry_rate_limited and status in _RATE_LIMITED):
            return Transition(Status.FAILED, Reason.REJECTED)
        # 5xx, and invalid codes from 600: RFC 9110 (15) tells clients to treat them as 5xx.
    if attempt > len(delays):
        return Transition(Status.FAILED, Reason.EXHAUSTED)
    asked = _retry_after(outcome, now_ms) if outcome.failure is None else 0
    return Transition(Status.RETRYING, delay=min(max(delays[attempt - 1], asked), MAX_DELAY))


def _retry_after(outcome: Outcome, now_ms: int) -> int:
    """Return the seconds that a `Retry-After` header asks for (RFC 9110, 10.2.3), 0 if there is no usable one."""
    value = next((value for name, value in outcome.headers if name == "retry-after"), "").strip()
    if value.isascii() and value.isdigit():
        return int(value[:9])
    if not value:
        return 0
    from email.utils import parsedate_to_datetime  # an expensive import, and dates are rare

    try:
        date = parsedate_to_datetime(value)
        if date.tzinfo is None:
            date = date.replace(tzinfo=UTC)
        return max(0, -(-(int(date.timestamp() * 1000) - now_ms) // 1000))
    except (ValueError, OverflowError):  # not a date
        return 0
