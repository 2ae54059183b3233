"""What an attempt's outcome leads to: the retry rules, and nothing but them."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC
from typing import Final

from posthorn.domain.models import DisabledReason, Failure, Outcome, Reason, Status

MAX_DELAY: Final = 900
"""Seconds; the longest delay of an SQS message, and so the most that `Retry-After` can ask for."""

_RATE_LIMITED: Final = frozenset({408, 429})


@dataclass(frozen=True, slots=True)
class Transition:
    """Where a delivery goes after an attempt."""

    status: Status
    reason: Reason | None = None
    delay: int | None = None  # seconds until the next attempt, only with `retrying`
    disable: DisabledReason | None = None  # the endpoint is to be switched off, too


def after_attempt(
    outcome: Outcome, *, attempt: int, delays: Sequence[int], retry_rate_limited: bool, now_ms: int
) -> Transition:
    """Decide what follows the attempt with this number.

    Attempts count from 1, delays from 0: `delays[n - 1]` seconds pass between attempts n and n + 1.
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
        # 5xx and what there is no class for: RFC 9110 (15) has a client treat 600 and above as 5xx.
    if attempt > len(delays):
        return Transition(Status.FAILED, Reason.EXHAUSTED)
    asked = _retry_after(outcome, now_ms) if outcome.failure is None else 0
    return Transition(Status.RETRYING, delay=min(max(delays[attempt - 1], asked), MAX_DELAY))


def _retry_after(outcome: Outcome, now_ms: int) -> int:
    """Return the seconds that a `Retry-After` header asks for (RFC 9110, 10.2.3), 0 without a usable one."""
    value = next((value for name, value in outcome.headers if name == "retry-after"), "").strip()
    if value.isascii() and value.isdigit():
        return int(value[:9])
    if not value:
        return 0
    from email.utils import parsedate_to_datetime  # a dear import, and a date is rare

    try:
        moment = parsedate_to_datetime(value)
        if moment.tzinfo is None:
            moment = moment.replace(tzinfo=UTC)
        return max(0, -(-(int(moment.timestamp() * 1000) - now_ms) // 1000))
    except (ValueError, OverflowError):  # receivers write all kinds of things
        return 0
