"""Puts results of attempts on record: in DynamoDB, or in SQS while DynamoDB refuses them (decision 0030).

A result that is in SQS is safe: DeliverFunction writes its row later, and nobody repeats the POST.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from posthorn import telemetry
from posthorn.aws.messages import RecordedAttempt
from posthorn.delivery.throttling import DELAY, AttemptId
from posthorn.domain.errors import Unavailable
from posthorn.domain.models import Delivery, Status
from posthorn.stores.delivery_rows import from_item, to_item

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from posthorn.aws.queues import Queues
    from posthorn.delivery.throttling import Throttling
    from posthorn.stores.deliveries import Deliveries


class AttemptRecorder:
    """Records attempts of one process."""

    def __init__(
        self, deliveries: Deliveries, queues: Queues, throttling: Throttling, *, clock: Callable[[], int]
    ) -> None:
        self._deliveries = deliveries
        self._queues = queues
        self._throttling = throttling
        self._clock = clock

    def put_settled(self, rows: Sequence[Delivery]) -> list[Delivery]:
        """Write up to 25 new rows that nothing follows; returns those that neither DynamoDB nor SQS took."""
        try:
            unwritten = self._deliveries.put_all(rows, now_ms=self._clock())
        except Unavailable as error:
            telemetry.call_failed(error)
            unwritten = list(rows)
        return self._hand_over(unwritten)

    def create(self, row: Delivery) -> bool:
        """Write a new row; true if the message for its next attempt is to be sent now.

        Like all methods below, raises `Unavailable` when neither DynamoDB nor SQS took the result.
        """
        try:
            return self._deliveries.create(row, now_ms=self._clock())
        except Unavailable as error:
            self._hand_over_one(row, error)
            return False

    def advance(self, after: Delivery, *, before: int) -> bool:
        """Advance a row from attempt number `before`; false if another invocation has advanced it already."""
        try:
            if not self._deliveries.advance(after, before=before):
                return False
        except Unavailable as error:
            self._hand_over_one(after, error)
            return True
        if after.status is Status.RETRYING:
            self._enqueue_next(after)
        return True

    def write(self, message: RecordedAttempt) -> None:
        """Write the row of an attempt that was handed over, then send the message for the next one."""
        self._write(from_item(message.row))

    def knows(self, attempt: AttemptId) -> bool:
        """Whether this process made an attempt, or left it to a queue, and could not write its row."""
        return self._throttling.is_queued(attempt) or self._throttling.held(attempt) is not None

    def recall(self, attempt: AttemptId) -> None:
        """Record an attempt that this process knows, unless a message takes care of it already."""
        row = self._throttling.held(attempt)
        if row is None:
            return
        try:
            self._write(row)
        except Unavailable as error:
            self._hand_over_one(row, error)
        else:
            self._throttling.written(attempt)

    def _write(self, row: Delivery) -> None:
        if self._deliveries.record(row, now_ms=self._clock()) and row.status is Status.RETRYING:
            self._enqueue_next(row)

    def _enqueue_next(self, row: Delivery) -> None:
        self._queues.enqueue_next(row, now_ms=self._clock())

    def _hand_over_one(self, row: Delivery, refusal: Unavailable) -> None:
        if self._hand_over([row]):
            raise refusal
        telemetry.call_failed(refusal)

    def _hand_over(self, rows: Sequence[Delivery]) -> list[Delivery]:
        """Send the results of attempts to DeliverQueue; returns those that SQS refused, which the process keeps."""
        if not rows:
            return []
        self._throttling.refused(rows)
        waiting = {_message(row): row for row in rows}
        unsent = self._queues.send_all(waiting, delay=DELAY, on_error=telemetry.call_failed)
        refused = [waiting[message] for message in unsent]
        for row in waiting.values():
            if row in refused:
                self._throttling.hold(_attempt(row), row)
            else:
                self._throttling.queued(_attempt(row))
        telemetry.results_handed_over(len(rows) - len(refused), refused=len(refused))
        return refused


def _attempt(row: Delivery) -> AttemptId:
    return AttemptId(row.key, row.generation, row.attempt)


def _message(row: Delivery) -> RecordedAttempt:
    """Return the message about the last attempt of a row; the others are in the table."""
    last = replace(row, attempts=row.attempts[-1:])
    return RecordedAttempt(
        row.key, row.channel, generation=row.generation, attempt=row.attempt, row=to_item(last)
    )
