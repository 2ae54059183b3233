"""What operators see: a structured line for each attempt that did not deliver or was slow, and for whatever went wrong.

All others are counted in one line per invocation: what each of them was is in the delivery log. At level DEBUG each has
its line, too. A line names ids and hosts. Tokens, whole URLs and payloads never get here.
"""

from __future__ import annotations

import logging
from collections import Counter
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from posthorn.domain.health_policy import SLOW_MS
from posthorn.domain.models import Status

if TYPE_CHECKING:
    from aws_lambda_powertools import Logger

    from posthorn.domain.errors import Unavailable
    from posthorn.domain.models import Attempt, Delivery


@lru_cache(maxsize=1)
def log() -> Logger:
    """Return the process's logger, made on first use; Powertools reads its own variables then."""
    from aws_lambda_powertools import Logger

    return Logger(utc=True, location=None)  # where in the code costs bytes in every line


def outage(error: Unavailable) -> None:
    """Write the one line of work that an outage of AWS put off."""
    log().error("to be tried again", extra={"operation": error.operation, "code": error.code})


def unreadable(row: str, reason: str) -> None:
    """Write the one line of a row that makes no sense to this version."""
    log().error("a row cannot be read", extra={"row": row, "reason": reason})


class AttemptCounts:
    """The attempts of one invocation."""

    def __init__(self) -> None:
        self._statuses: Counter[Status] = Counter()
        self._slowest_ms = 0

    def add(self, delivery: Delivery, attempt: Attempt, host: str | None) -> None:
        """Count an attempt, and write its line unless it delivered in good time."""
        took = attempt.outcome.timings.total
        self._statuses[delivery.status] += 1
        self._slowest_ms = max(self._slowest_ms, took)
        if delivery.status is not Status.DELIVERED or took >= SLOW_MS:
            log().info("attempt", extra=_fields(delivery, attempt, host))
        elif log().log_level <= logging.DEBUG:
            log().debug("attempt", extra=_fields(delivery, attempt, host))

    def write(self) -> None:
        """Write the one line of them all, unless nothing was delivered: then each has its own."""
        if self._statuses[Status.DELIVERED]:
            counts = {status.value: count for status, count in self._statuses.items()}
            log().info("attempts", extra={**counts, "slowest_ms": self._slowest_ms})


def _fields(delivery: Delivery, attempt: Attempt, host: str | None) -> dict[str, Any]:
    outcome = attempt.outcome
    fields: dict[str, Any] = {
        "endpoint": delivery.key.endpoint_id,
        "event": delivery.key.event_id,
        "host": host,
        "address": outcome.address,
        "attempt": attempt.number,
        "generation": delivery.generation,
        "http_status": outcome.status,
        "failure": outcome.failure,
        "latency_ms": outcome.timings.total,
        "delivery": delivery.status,
        "reason": delivery.reason,
        "next_attempt_at": delivery.next_attempt_at,
    }
    return {name: value for name, value in fields.items() if value is not None}
