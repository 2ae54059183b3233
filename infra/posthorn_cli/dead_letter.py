"""One message of a dead-letter queue: what it is about, why it is there, and how it goes back.

Ids and reasons are shown; never a payload, a URL or a body.
"""

from __future__ import annotations

import json
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final

from posthorn.aws.messages import RecordedAttempt, read_message, read_step
from posthorn.aws.notice_messages import is_about_notice, read_notice_message
from posthorn.aws.purge_queue import read_purge_step
from posthorn.domain.clock import rfc3339
from posthorn.domain.errors import Malformed
from posthorn.domain.ids import EVENT, is_id
from posthorn_cli.redispatch import redispatch_one
from posthorn_cli.redispatch_window import RedispatchWindow

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from posthorn_cli.installed import Installed

BEFORE_MS: Final = 300_000
"""How long before its arrival on the stream an event may have got its id: a repeated request keeps the first one's."""

AFTER_MS: Final = 60_000
"""How long after: the id is from another clock."""

_RECEIVED_TOO_OFTEN: Final = "received too often without success"
INCOMPLETE: Final = "not all of its deliveries could be queued"


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """A message, as far as it can be understood."""

    kind: str
    about: str
    reason: str
    # the one or the other, or neither if it does not say where it belongs
    move: Callable[[], None] | None = None
    window: RedispatchWindow | None = None  # dispatched again once for all letters whose windows overlap


def read(place: Installed, queue: str, body: str) -> DeadLetter:
    """Understand a message by what it holds. Posthorn's functions write the reason into what they put there."""
    found = _object(body)
    if "DDBStreamBatchInfo" in found:
        return _stream_batch(found)
    reason = str(found.get("reason", ""))[:200]
    inner = str(found.get("body", ""))
    match found.get("kind"):
        case "stream-record":
            return _stream_record(place, found, reason)
        case "message" if queue in _STEPS:
            return _STEPS[queue](place, inner, reason)
        case "message":
            return _attempt(place, inner, reason)
        case "notification":
            return _notification(place, inner, reason, found)
    if queue == "feedback":
        return _notification(place, body, _RECEIVED_TOO_OFTEN, {})
    if queue in _STEPS:
        return _STEPS[queue](place, body, _RECEIVED_TOO_OFTEN)
    return _attempt(place, body, None)


def _step(place: Installed, body: str, reason: str) -> DeadLetter:
    kind = "replay step"
    try:
        step = read_step(body)
    except Malformed:
        return DeadLetter(kind, "-", reason)
    url = place.queue_url("ReplayQueue")
    return DeadLetter(
        kind,
        f"{step.replay_id} of {step.endpoint_id}",
        reason,
        lambda: _send(place, url, body, step.endpoint_id),
    )


def _purge_step(place: Installed, body: str, reason: str) -> DeadLetter:
    kind = "purge step"
    try:
        step = read_purge_step(body)
    except Malformed:
        return DeadLetter(kind, "-", reason)
    url = place.queue_url("PurgeQueue")
    return DeadLetter(
        kind, f"purge of {step.workspace}", reason, lambda: _send(place, url, body, step.workspace)
    )


_STEPS: Final = {"replay": _step, "purge": _purge_step}


def _attempt(place: Installed, body: str, reason: str | None) -> DeadLetter:
    if is_about_notice(body):
        return _notice(place, body, reason)
    kind = "attempt"
    try:
        message = read_message(body)
    except Malformed as error:
        return DeadLetter(kind, "-", str(error) if reason is None else reason)
    if isinstance(message, RecordedAttempt):
        kind = "recorded attempt"
    else:  # it may go on with the claim of the message that it was
        body = json.dumps(json.loads(body) | {"moved": True}, separators=(",", ":"), ensure_ascii=False)
    return DeadLetter(
        kind,
        f"{message.key.event_id} at {message.key.endpoint_id}, attempt {message.attempt}",
        _RECEIVED_TOO_OFTEN if reason is None else reason,
        lambda: _send(place, place.queues.url_of(message), body, message.key.endpoint_id),
    )


def _notice(place: Installed, body: str, reason: str | None) -> DeadLetter:
    kind = "notice"
    try:
        message = read_notice_message(body)
    except Malformed as error:
        return DeadLetter(kind, "-", str(error) if reason is None else reason)
    return DeadLetter(
        kind,
        f"{message.event_id} of {message.channel}",
        _RECEIVED_TOO_OFTEN if reason is None else reason,
        lambda: place.notice_queue.send(message),
    )


def _send(place: Installed, url: str, body: str, group: str) -> None:
    """Send a message as it was, with all that a later version may have put into it, due at once."""
    place.sqs.send_message(QueueUrl=url, MessageBody=body, DelaySeconds=0, MessageGroupId=group)


def _notification(place: Installed, body: str, reason: str, letter: Mapping[str, Any]) -> DeadLetter:
    def send() -> None:
        place.sqs.send_message(QueueUrl=place.queue_url("FeedbackQueue"), MessageBody=body)

    message_id = str(letter.get("message_id", "-"))[:100]
    return DeadLetter("mail notification", message_id, reason, send if body else None)


def _stream_record(place: Installed, found: Mapping[str, Any], reason: str) -> DeadLetter:
    kind = "stream record"
    with suppress(KeyError, TypeError, AttributeError):
        keys = found["keys"]
        event_id, (channel, _, _) = keys["sk"]["S"], keys["pk"]["S"].rpartition("#")
        if is_id(event_id, EVENT) and channel:
            return DeadLetter(
                kind, f"{event_id} of {channel}", reason, _dispatch_event(place, channel, event_id)
            )
    return DeadLetter(kind, f"record {str(found.get('sequence_number', '-'))[:40]}", reason)


def _dispatch_event(place: Installed, channel: str, event_id: str) -> Callable[[], None]:
    def move() -> None:
        if redispatch_one(place, channel, event_id, dry_run=False).failed:
            raise Malformed(INCOMPLETE)

    return move


def _stream_batch(found: Mapping[str, Any]) -> DeadLetter:
    """Read what Lambda writes when a mapping gives up: where the records were, and not what was in them."""
    kind, batch, context = "stream batch", found["DDBStreamBatchInfo"], found.get("requestContext", {})
    try:
        window = RedispatchWindow(
            _milliseconds(batch["approximateArrivalOfFirstRecord"]) - BEFORE_MS,
            _milliseconds(batch["approximateArrivalOfLastRecord"]) + AFTER_MS,
        )
        about = (
            f"{int(batch['batchSize'])} records, {batch['startSequenceNumber']} to {batch['endSequenceNumber']}"
            f" of {batch['shardId']};"
            f" posthorn redispatch --since {rfc3339(window.since_ms)} --until {rfc3339(window.until_ms)}"
        )
    except (KeyError, TypeError, ValueError):
        return DeadLetter(kind, "-", "Lambda's description of it cannot be read")

    return DeadLetter(kind, about, str(context.get("condition", ""))[:200], window=window)


def _milliseconds(text: str) -> int:
    return int(datetime.fromisoformat(text).timestamp() * 1000)


def _object(body: str) -> dict[str, Any]:
    try:
        found = json.loads(body)
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}
