"""Accepts a batch of SES's notifications from the FeedbackQueue as events."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from posthorn.aws.batch_response import identifier
from posthorn.aws.clients import threads
from posthorn.domain.errors import Malformed, Unavailable
from posthorn.email.events import event_of
from posthorn.email.sns import Notice, unwrap
from posthorn.telemetry import log, outage

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from posthorn.aws.queues import DeadLetterQueue
    from posthorn.stores.events import Events


class Feedback:
    """Accepts notifications about emails as events of their configuration sets."""

    def __init__(self, events: Events, dead_letters: DeadLetterQueue, *, clock: Callable[[], int]) -> None:
        self._events = events
        self._dead_letters = dead_letters
        self._clock = clock

    def take(self, messages: Sequence[Mapping[str, Any]]) -> set[str]:
        """Accept the event of every message; return the ids of the messages to retry."""
        taken = [
            (identifier(message, "messageId"), threads().submit(self._take_one, message))
            for message in messages
        ]
        failed: set[str] = set()
        for message_id, done in taken:
            try:
                done.result()
            except Unavailable as error:
                outage(error)
                failed.add(message_id)
        return failed

    def _take_one(self, message: Mapping[str, Any]) -> None:
        message_id, body = identifier(message, "messageId"), str(message.get("body", ""))
        try:
            told = unwrap(body)
            if isinstance(told, Notice):
                log().info("about no mail", extra={"message_id": message_id, "notice": told.kind})
                return
            event = event_of(told)
        except Malformed as error:
            self._dead_letter(message_id, body, str(error))
            return
        # One by one: a batch write has no condition, which is what makes a repeated notification a single event.
        self._events.accept([event], now_ms=self._clock())

    def _dead_letter(self, message_id: str, body: str, reason: str) -> None:
        log().error("parked a notification", extra={"message_id": message_id, "reason": reason})
        self._dead_letters.put(
            {"kind": "notification", "message_id": message_id, "body": body}, reason=reason
        )
