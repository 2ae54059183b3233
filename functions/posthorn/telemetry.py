"""What operators see: one structured line per attempt, and one for whatever went wrong.

A line names ids and hosts. Tokens, whole URLs and payloads never get here.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from aws_lambda_powertools import Logger

    from posthorn.errors import Unavailable
    from posthorn.models import Attempt, Delivery
    from posthorn.transport.addresses import Target


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


def attempted(delivery: Delivery, attempt: Attempt, target: Target | None) -> None:
    """Write the one line of an attempt."""
    outcome = attempt.outcome
    fields: dict[str, Any] = {
        "endpoint": delivery.key.endpoint_id,
        "event": delivery.key.event_id,
        "host": target.host if target else None,
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
    log().info("attempt", extra={name: value for name, value in fields.items() if value is not None})
