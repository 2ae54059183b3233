"""Messages in the queues: they hold ids only, so that an attempt always reads the current endpoint."""

from __future__ import annotations

import json
import re
import time
from collections import defaultdict
from dataclasses import dataclass
from itertools import batched
from typing import TYPE_CHECKING, Any, Final

from posthorn.aws.clients import call, pauses, threads
from posthorn.domain.errors import Malformed, Unavailable
from posthorn.domain.ids import EVENT, REPLAY, is_id
from posthorn.domain.models import DeliveryKey
from posthorn.domain.retry_policy import MAX_DELAY

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from mypy_boto3_sqs import SQSClient

    from posthorn.domain.models import Delivery
    from posthorn.domain.replay_job import ReplayStep

MESSAGE_VERSION: Final = 1
BATCH_LIMIT: Final = 10
"""Most messages that SQS accepts in one call."""

_ID: Final = re.compile(r"[A-Za-z0-9_-]{1,64}")


@dataclass(frozen=True, slots=True)
class DeliveryMessage:
    """One attempt to make."""

    key: DeliveryKey
    channel: str
    generation: int
    attempt: int  # the number of the attempt to make; the number in the row must be one less


def write_message(message: DeliveryMessage) -> str:
    return json.dumps(
        {
            "v": MESSAGE_VERSION,
            "endpoint": message.key.endpoint_id,
            "event": message.key.event_id,
            "channel": message.channel,
            "generation": message.generation,
            "attempt": message.attempt,
        },
        separators=(",", ":"),
    )


def read_message(body: str) -> DeliveryMessage:
    """Read a message; `Malformed` if it is not one of ours."""
    found = _read(body)
    event_id = _text(found, "event")
    if not is_id(event_id, EVENT):
        raise Malformed("event is not an event id")
    return DeliveryMessage(
        key=DeliveryKey(endpoint_id=_text(found, "endpoint"), event_id=event_id),
        channel=_text(found, "channel"),
        generation=_number(found, "generation"),
        attempt=_number(found, "attempt"),
    )


def write_step(step: ReplayStep) -> str:
    return json.dumps(
        {"v": MESSAGE_VERSION, "endpoint": step.endpoint_id, "replay": step.replay_id, "step": step.number},
        separators=(",", ":"),
    )


def read_step(body: str) -> ReplayStep:
    """Read a message; `Malformed` if it is not one of ours."""
    from posthorn.domain.replay_job import ReplayStep  # loaded here, since delivering needs no replays

    found = _read(body)
    replay_id = _text(found, "replay")
    if not is_id(replay_id, REPLAY):
        raise Malformed("replay is not the id of a replay")
    return ReplayStep(_text(found, "endpoint"), replay_id, number=_number(found, "step"))


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

    def enqueue(self, message: DeliveryMessage, *, due_at: int | None, now_ms: int) -> None:
        """Send a message to the queue of its attempt; `due_at` is in Unix milliseconds, None for immediately."""
        call(self._sqs.send_message, QueueUrl=self.url_of(message), **_message(message, due_at, now_ms))

    def enqueue_all(
        self, rows: Iterable[Delivery], *, now_ms: int, on_error: Callable[[Unavailable], None]
    ) -> list[Delivery]:
        """Send the messages for the next attempts of these rows, ten a call; returns the rows of those not sent.

        Sending one twice does no harm: a delivery is claimed only once for each attempt.
        """
        by_queue: defaultdict[str, list[Delivery]] = defaultdict(list)
        for row in rows:
            by_queue[self.url_of(_next_message(row))].append(row)
        sends = [
            threads().submit(self._send_batch, url, batch, now_ms)
            for url, waiting in by_queue.items()
            for batch in batched(waiting, BATCH_LIMIT, strict=False)
        ]
        unsent: list[Delivery] = []
        for send in sends:
            left, error = send.result()
            unsent += left
            if error is not None:
                on_error(error)
        return unsent

    def _send_batch(
        self, url: str, rows: Sequence[Delivery], now_ms: int
    ) -> tuple[list[Delivery], Unavailable | None]:
        """Send up to ten messages; returns the rows of those that SQS did not accept, and why a call failed."""
        pending = {str(number): row for number, row in enumerate(rows)}
        for pause in pauses():
            entries: Any = [
                {"Id": number, **_message(_next_message(row), row.next_attempt_at, now_ms)}
                for number, row in pending.items()
            ]
            try:
                answer = call(self._sqs.send_message_batch, QueueUrl=url, Entries=entries)
            except Unavailable as error:
                return list(pending.values()), error
            pending = {one["Id"]: pending[one["Id"]] for one in answer.get("Failed", [])}
            if not pending:
                break
            time.sleep(pause)
        return list(pending.values()), None

    def url_of(self, message: DeliveryMessage) -> str:
        """Return the URL of the queue where a message waits."""
        retry = message.attempt - 2  # attempt 2 is retry 0
        urls = self._retry_queue_urls
        return urls[min(retry, len(urls) - 1)] if retry >= 0 else self._deliver_queue_url


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


def _message(message: DeliveryMessage, due_at: int | None, now_ms: int) -> dict[str, Any]:
    wait = 0 if due_at is None else -(-(due_at - now_ms) // 1000)
    return {
        "MessageBody": write_message(message),
        # explicit, since Retry-After may ask for more than the delay of the queue
        "DelaySeconds": min(max(wait, 0), MAX_DELAY),
        # a standard queue serves its quiet groups first, so the backlog of one endpoint delays no other
        "MessageGroupId": message.key.endpoint_id,
    }


def _read(body: str) -> dict[str, Any]:
    try:
        found = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise Malformed("the message is not JSON") from error
    if not isinstance(found, dict):
        raise Malformed("the message is not an object")
    version = _number(found, "v")
    if version != MESSAGE_VERSION:
        raise Malformed(f"the message has the unknown version {version}")
    return found


def _text(found: dict[str, Any], name: str) -> str:
    value = found.get(name)
    if not isinstance(value, str) or not _ID.fullmatch(value):
        raise Malformed(f"{name} is missing or not an id")
    return value


def _number(found: dict[str, Any], name: str) -> int:
    value = found.get(name)
    if not isinstance(value, int) or isinstance(value, bool) or value < 1:
        raise Malformed(f"{name} is missing or not a positive integer")
    return value
