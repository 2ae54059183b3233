"""What lies in the dead-letter queues: told with its reason, and moved back to where it belongs.

Of a message, ids and reasons are shown; never a payload, a URL or a body.
"""

from __future__ import annotations

import json
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final

from posthorn.aws.queues import ReplayQueue, read_message, read_step
from posthorn.domain.clock import rfc3339
from posthorn.domain.errors import Malformed
from posthorn.domain.ids import EVENT, is_id
from posthorn_cli.redispatch import redispatch, redispatch_one

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from posthorn_cli.installed import Installed

QUEUES: Final = {
    "dispatch": "DispatchDeadLetterQueue",
    "deliver": "DeliverDeadLetterQueue",
    "feedback": "FeedbackDeadLetterQueue",
    "replay": "ReplayDeadLetterQueue",
}

BEFORE_MS: Final = 300_000
"""How much earlier than its arrival on the stream an event may have got its id: a request that was repeated."""

AFTER_MS: Final = 60_000
"""And how much later, by another clock."""

_HIDDEN_SECONDS: Final = 600  # while a command works on them; if it dies, they are back after that
_RECEIVED_TOO_OFTEN: Final = "given up on after five receives"


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """A message on a dead-letter queue, as far as it can be understood."""

    kind: str
    about: str
    reason: str
    move: Callable[[], None] | None = None  # None: nobody would know what to do with it


@dataclass(slots=True)
class Handled:
    """What lay in a queue."""

    found: int = 0
    moved: int = 0


def go_through(
    place: Installed,
    queue: str,
    *,
    move: bool,
    dry_run: bool,
    say: Callable[[str], None],
    wait_seconds: int = 2,
) -> Handled:
    """Tell of everything in a dead-letter queue and, if asked to, move it back: sent first, then deleted.

    Whatever stays, or fails on its way, is in its queue again when this returns.
    """
    handled, url = Handled(), place.queue_url(QUEUES[queue])
    staying: list[str] = []
    try:
        for message in _receive(place, url, wait_seconds):
            handled.found += 1
            receipt = message["ReceiptHandle"]
            staying.append(receipt)
            letter = read(place, queue, message["Body"])
            sent = rfc3339(int(message["Attributes"]["SentTimestamp"]))
            fate = ""
            if move and letter.move is None:
                fate = "stays: "
            elif move and dry_run:
                fate = "would be moved: "
            elif move and letter.move is not None:
                try:
                    letter.move()
                except Malformed as error:
                    fate = f"stays, since {error}: "
                else:
                    fate = "moved: "
                    handled.moved += 1
                    place.sqs.delete_message(QueueUrl=url, ReceiptHandle=receipt)
                    staying.remove(receipt)
            say(f"{queue}  {sent}  {fate}{letter.kind}  {letter.about}  {letter.reason}")
    finally:
        for receipt in staying:
            place.sqs.change_message_visibility(QueueUrl=url, ReceiptHandle=receipt, VisibilityTimeout=0)
    return handled


def read(place: Installed, queue: str, body: str) -> DeadLetter:
    """Understand a message by what it holds; whatever was parked says why itself."""
    found = _object(body)
    if "DDBStreamBatchInfo" in found:
        return _stream_batch(place, found)
    reason = str(found.get("reason", ""))[:200]
    match found.get("kind"):
        case "stream-record":
            return _stream_record(place, found, reason)
        case "message":
            inner = str(found.get("body", ""))
            if queue == "replay":
                return _step(place, inner, "parked message", reason)
            return _attempt(place, inner, "parked message", reason)
        case "notification":
            inner = str(found.get("body", ""))
            return _notification(place, inner, "parked notification", reason, found)
    if queue == "feedback":
        return _notification(place, body, "notification", _RECEIVED_TOO_OFTEN, {})
    if queue == "replay":
        return _step(place, body, "step of a replay", _RECEIVED_TOO_OFTEN)
    return _attempt(place, body, "attempt", _RECEIVED_TOO_OFTEN)


def _step(place: Installed, body: str, kind: str, reason: str) -> DeadLetter:
    try:
        step = read_step(body)
    except Malformed:
        return DeadLetter(kind, "-", reason)
    queue = ReplayQueue(place.sqs, place.queue_url("ReplayQueue"))
    return DeadLetter(kind, f"{step.replay_id} of {step.endpoint_id}", reason, lambda: queue.send(step))


def _attempt(place: Installed, body: str, kind: str, reason: str) -> DeadLetter:
    try:
        message = read_message(body)
    except Malformed as error:
        return DeadLetter(kind, "-", reason if kind != "attempt" else str(error))
    about = f"{message.key.event_id} at {message.key.endpoint_id}, attempt {message.attempt}"
    return DeadLetter(
        kind, about, reason, lambda: place.queues.enqueue(message, due_at=None, now_ms=place.clock())
    )


def _notification(
    place: Installed, body: str, kind: str, reason: str, parked: Mapping[str, Any]
) -> DeadLetter:
    def send() -> None:
        place.sqs.send_message(QueueUrl=place.queue_url("FeedbackQueue"), MessageBody=body)

    return DeadLetter(kind, str(parked.get("message_id", "-"))[:100], reason, send if body else None)


def _stream_record(place: Installed, found: Mapping[str, Any], reason: str) -> DeadLetter:
    about = f"record {str(found.get('sequence_number', '-'))[:40]}"
    with suppress(KeyError, TypeError, AttributeError):
        keys = found["keys"]
        event_id, (channel, _, _) = keys["sk"]["S"], keys["pk"]["S"].rpartition("#")
        if is_id(event_id, EVENT) and channel:
            return DeadLetter(
                "stream record", f"{event_id} of {channel}", reason, _one(place, channel, event_id)
            )
    return DeadLetter("stream record", about, reason)


def _one(place: Installed, channel: str, event_id: str) -> Callable[[], None]:
    def move() -> None:
        if redispatch_one(place, channel, event_id, dry_run=False).failed:
            raise Malformed("not all of it could be queued")

    return move


def _stream_batch(place: Installed, found: Mapping[str, Any]) -> DeadLetter:
    """Read what Lambda writes when a mapping gives up: where the records lay, and not what was in them."""
    batch, context = found["DDBStreamBatchInfo"], found.get("requestContext", {})
    try:
        since = _moment(batch["approximateArrivalOfFirstRecord"]) - BEFORE_MS
        until = _moment(batch["approximateArrivalOfLastRecord"]) + AFTER_MS
        about = (
            f"{int(batch['batchSize'])} records, {batch['startSequenceNumber']} to {batch['endSequenceNumber']}"
            f" of {batch['shardId']}; posthorn redispatch --since {rfc3339(since)} --until {rfc3339(until)}"
        )
    except (KeyError, TypeError, ValueError):
        return DeadLetter("stream batch", "-", "what Lambda wrote about it cannot be read")

    def move() -> None:
        tally = redispatch(place, since_ms=since, until_ms=until, dry_run=False, progress=lambda _: None)
        if tally.failed:
            raise Malformed("not all of it could be queued")

    return DeadLetter("stream batch", about, str(context.get("condition", ""))[:200], move)


def _receive(place: Installed, url: str, wait_seconds: int) -> Iterator[Any]:
    seen: set[str] = set()
    while True:
        answer = place.sqs.receive_message(
            QueueUrl=url,
            MaxNumberOfMessages=10,
            VisibilityTimeout=_HIDDEN_SECONDS,
            WaitTimeSeconds=wait_seconds,  # above 0 all servers of a queue are asked
            MessageSystemAttributeNames=["SentTimestamp"],
        )
        fresh = [one for one in answer.get("Messages", []) if one["MessageId"] not in seen]
        if not fresh:
            return
        for message in fresh:
            seen.add(message["MessageId"])
            yield message


def _moment(text: str) -> int:
    return int(datetime.fromisoformat(text).timestamp() * 1000)


def _object(body: str) -> dict[str, Any]:
    try:
        found = json.loads(body)
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}
