"""Log events for operators: one function each, with a stable name in `message` and one set of fields.

An attempt that failed or was slow has a line of its own. The others are counted in one line per invocation, since the
delivery log shows them; at level DEBUG each has its line, too. Lines name ids and hosts. Tokens, full URLs and payloads
are never logged.
"""

from __future__ import annotations

import logging
import traceback
from collections import Counter
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from posthorn.domain.errors import OperatorError
from posthorn.domain.health_policy import SLOW_MS
from posthorn.domain.models import Status

if TYPE_CHECKING:
    from aws_lambda_powertools import Logger

    from posthorn.domain.errors import Unavailable
    from posthorn.domain.models import Attempt, Delivery
    from posthorn.domain.purge_job import PurgeJob
    from posthorn.domain.replay_job import ReplayJob


@lru_cache(maxsize=1)
def log() -> Logger:
    """Return the logger of this process, made on first use; Powertools reads its own variables then."""
    from aws_lambda_powertools import Logger

    return Logger(utc=True, location=None)  # the place in the code would cost bytes in every line


def call_failed(error: Unavailable) -> None:
    """Report that an AWS call failed, so that work is retried later."""
    if isinstance(error, OperatorError):
        _call_refused(error)
        return
    log().error("aws.call_failed", extra={"operation": error.operation, "code": error.code})


def _call_refused(error: OperatorError) -> None:
    """Report that AWS refuses a call until an operator acts, with the permission and resource that are missing."""
    fields = {
        "operation": error.operation,
        "code": error.code,
        "permission": error.permission,
        "resource": error.resource,
    }
    log().error("aws.refused", extra={name: value for name, value in fields.items() if value is not None})


def row_unreadable(where: str, reason: str) -> None:
    """Report a row that this version cannot read; `where` holds the ids of the row or the operation that met it."""
    log().error("row.unreadable", extra={"where": where, "reason": reason})


def dead_lettered(kind: str, record_id: str, reason: str) -> None:
    """Report a message or stream record that goes to the dead-letter queue."""
    log().error("message.dead_lettered", extra={"kind": kind, "id": record_id, "reason": reason})


def request_failed(operation: str, error: Exception) -> None:
    """Report an unexpected error by its type and place: its text may hold data of a customer."""
    places = [f"{frame.filename}:{frame.lineno}" for frame in traceback.extract_tb(error.__traceback__)]
    fields = {"operation": operation, "exception_name": type(error).__name__, "places": places[-5:]}
    log().error("request.failed", extra=fields)


def deliveries_queued(number: int) -> None:
    """Report deliveries that were queued instead of sent."""
    log().info("deliveries.queued", extra={"deliveries": number})


def results_handed_over(number: int, *, refused: int) -> None:
    """Report results of attempts that DynamoDB refused and SQS has now; `refused` are those that SQS refused, too."""
    log().warning("results.handed_over", extra={"deliveries": number, "refused": refused})


def deliveries_requeued(number: int) -> None:
    """Report overdue deliveries of records that came again, whose messages counted as lost."""
    log().info("deliveries.requeued", extra={"deliveries": number})


def records_postponed(number: int) -> None:
    """Report stream records that come again because they lead to more deliveries than one invocation plans."""
    log().info("records.postponed", extra={"records": number})


def messages_unsent(number: int) -> None:
    """Report deliveries whose messages could not be sent, although their rows were written."""
    log().error("messages.unsent", extra={"deliveries": number})


def notification_ignored(message_id: str, kind: str) -> None:
    """Report a notification that is not about a mail."""
    log().info("notification.ignored", extra={"id": message_id, "kind": kind})


def sweep_finished(*, enqueued: int, left: int, unsent: int, complete: bool) -> None:
    """Report a run of the sweeper."""
    fields = {"enqueued": enqueued, "left": left, "unsent": unsent, "complete": complete}
    log().info("sweep.finished", extra=fields)


def replay_finished(job: ReplayJob) -> None:
    """Report the end of a bulk replay."""
    fields = {
        "replay": job.id,
        "endpoint": job.endpoint_id,
        "state": job.state,
        "matched": job.counts.matched,
        "replayed": job.counts.replayed,
        "skipped": job.counts.skipped,
    }
    log().info("replay.finished", extra=fields)


def purge_finished(job: PurgeJob) -> None:
    """Report that a deleted workspace is gone."""
    fields = {"workspace": job.workspace, "rounds": job.round, **job.removed}
    log().info("purge.finished", extra=fields)


class AttemptCounts:
    """The attempts of one invocation."""

    def __init__(self) -> None:
        self._statuses: Counter[Status] = Counter()
        self._slowest_ms = 0

    def add(self, delivery: Delivery, attempt: Attempt, host: str | None) -> None:
        """Count an attempt, and log it unless it was delivered in good time."""
        took = attempt.outcome.timings.total
        self._statuses[delivery.status] += 1
        self._slowest_ms = max(self._slowest_ms, took)
        if delivery.status is not Status.DELIVERED or took >= SLOW_MS:
            log().info("delivery.attempted", extra=_fields(delivery, attempt, host))
        elif log().log_level <= logging.DEBUG:
            log().debug("delivery.attempted", extra=_fields(delivery, attempt, host))

    def write(self) -> None:
        """Log the counts, unless nothing was delivered: then every attempt has its own line."""
        if self._statuses[Status.DELIVERED]:
            counts = {status.value: count for status, count in self._statuses.items()}
            log().info("deliveries.attempted", extra={**counts, "slowest_ms": self._slowest_ms})


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
