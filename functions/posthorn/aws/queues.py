"""The queues where attempts and steps of replays wait, and the dead-letter queues."""

from __future__ import annotations

import json
import time
from collections import defaultdict
from typing import TYPE_CHECKING, Any, Final

from posthorn.aws.clients import call, pauses, threads
from posthorn.aws.messages import (
    MESSAGE_VERSION,
    DeliveryMessage,
    RecordedAttempt,
    write_message,
    write_step,
)
from posthorn.domain.errors import Unavailable
from posthorn.domain.retry_policy import MAX_DELAY

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from mypy_boto3_sqs import SQSClient

    from posthorn.aws.messages import QueueMessage
    from posthorn.domain.models import Delivery
    from posthorn.domain.replay_job import ReplayStep

BATCH_LIMIT: Final = 10
"""Most messages that SQS accepts in one call."""

BATCH_BYTES: Final = 256 * 1024
"""Most bytes of the messages of one call. SQS accepts four times that since 2025; emulators and quotas may not."""

type _Entry[T] = tuple[T, dict[str, Any]]
"""Something to send, and the fields of its message."""


class Queues:
    """The queues where attempts wait."""

    def __init__(self, sqs: SQSClient, deliver_queue_url: str, retry_queue_urls: Sequence[str] = ()) -> None:
        self._sqs = sqs
        self._deliver_queue_url = deliver_queue_url
        self._retry_queue_urls = (
            retry_queue_urls  # before attempts 2, 3 and 4; empty if only first attempts are sent
        )

    def enqueue_next(self, row: Delivery, *, now_ms: int) -> None:
        """Send the message for the next attempt of a delivery."""
        self.enqueue(_next_message(row), due_at=row.next_attempt_at, now_ms=now_ms)

    def enqueue(self, message: QueueMessage, *, due_at: int | None, now_ms: int) -> None:
        """Send a message to the queue of its attempt; `due_at` is in Unix milliseconds, None for immediately."""
        call(
            self._sqs.send_message, QueueUrl=self.url_of(message), **_message(message, _wait(due_at, now_ms))
        )

    def enqueue_all(
        self, rows: Iterable[Delivery], *, now_ms: int, on_error: Callable[[Unavailable], None]
    ) -> list[Delivery]:
        """Send the messages for the next attempts of these rows, ten a call; returns the rows of those not sent.

        Sending one twice does no harm: a delivery is claimed only once for each attempt.
        """
        by_queue: defaultdict[str, list[_Entry[Delivery]]] = defaultdict(list)
        for row in rows:
            message = _next_message(row)
            entry = row, _message(message, _wait(row.next_attempt_at, now_ms))
            by_queue[self.url_of(message)].append(entry)
        sends = [
            threads().submit(self._send_batch, url, batch)
            for url, waiting in by_queue.items()
            for batch in _batches(waiting)
        ]
        unsent: list[Delivery] = []
        for send in sends:
            left, error = send.result()
            unsent += left
            if error is not None:
                on_error(error)
        return unsent

    def send_all[M: QueueMessage](
        self, messages: Iterable[M], *, delay: int, on_error: Callable[[Unavailable], None]
    ) -> list[M]:
        """Send messages to DeliverQueue, delayed by a number of seconds; returns those not sent.

        Makes one call after another in the caller's thread, which may itself belong to the shared threads.
        """
        waiting = [(message, _message(message, delay)) for message in messages]
        unsent: list[M] = []
        for batch in _batches(waiting):
            left, error = self._send_batch(self._deliver_queue_url, batch)
            unsent += left
            if error is not None:
                on_error(error)
        return unsent

    def _send_batch[T](self, url: str, batch: Sequence[_Entry[T]]) -> tuple[list[T], Unavailable | None]:
        """Send up to ten messages; returns what SQS did not accept, and why a call failed."""
        pending = {str(number): entry for number, entry in enumerate(batch)}
        for pause in pauses():
            entries: Any = [{"Id": number, **message} for number, (_, message) in pending.items()]
            try:
                answer = call(self._sqs.send_message_batch, QueueUrl=url, Entries=entries)
            except Unavailable as error:
                return [what for what, _ in pending.values()], error
            pending = {one["Id"]: pending[one["Id"]] for one in answer.get("Failed", [])}
            if not pending:
                break
            time.sleep(pause)
        return [what for what, _ in pending.values()], None

    def url_of(self, message: QueueMessage) -> str:
        """Return the URL of the queue where a message waits."""
        urls = self._retry_queue_urls
        if isinstance(message, RecordedAttempt) or message.attempt == 1:
            return self._deliver_queue_url
        return urls[min(message.attempt - 2, len(urls) - 1)]


class ReplayQueue:
    """The queue where the next steps of bulk replays wait."""

    def __init__(self, sqs: SQSClient, url: str) -> None:
        self._sqs = sqs
        self._url = url

    def send(self, step: ReplayStep, *, delay: int = 0) -> None:
        """Send the message of a step, delayed by a number of seconds."""
        call(
            self._sqs.send_message,
            QueueUrl=self._url,
            MessageBody=write_step(step),
            DelaySeconds=delay,
            MessageGroupId=step.endpoint_id,  # the jobs of one endpoint do not delay those of another
        )


class DeadLetterQueue:
    """The dead-letter queue of a function, for messages and records that it cannot read."""

    def __init__(self, sqs: SQSClient, queue_url: str) -> None:
        self._sqs = sqs
        self._queue_url = queue_url

    def put(self, what: dict[str, Any], *, reason: str) -> None:
        """Send a dead letter with its reason."""
        call(
            self._sqs.send_message,
            QueueUrl=self._queue_url,
            MessageBody=json.dumps({"v": MESSAGE_VERSION, "reason": reason, **what}),
        )


def _next_message(row: Delivery) -> DeliveryMessage:
    return DeliveryMessage(row.key, row.channel, generation=row.generation, attempt=row.attempt + 1)


def _wait(due_at: int | None, now_ms: int) -> int:
    return 0 if due_at is None else -(-(due_at - now_ms) // 1000)


def _message(message: QueueMessage, wait: int) -> dict[str, Any]:
    return {
        "MessageBody": write_message(message),
        # explicit, since Retry-After may ask for more than the delay of the queue
        "DelaySeconds": min(max(wait, 0), MAX_DELAY),
        # a standard queue serves its quiet groups first, so the backlog of one endpoint delays no other
        "MessageGroupId": message.key.endpoint_id,
    }


def _batches[T](waiting: Iterable[_Entry[T]]) -> Iterator[list[_Entry[T]]]:
    """Split messages into as many calls as their number and their bytes need."""
    batch: list[_Entry[T]] = []
    size = 0
    for entry in waiting:
        length = len(entry[1]["MessageBody"])  # ASCII
        if batch and (len(batch) == BATCH_LIMIT or size + length > BATCH_BYTES):
            yield batch
            batch, size = [], 0
        batch.append(entry)
        size += length
    if batch:
        yield batch
