"""Accepts a batch of SES's notifications from the FeedbackQueue as events."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from posthorn import telemetry
from posthorn.aws.batch_response import failed_records, identifier
from posthorn.aws.clients import threads
from posthorn.domain.errors import Malformed
from posthorn.email.events import event_of
from posthorn.email.sns import Notice, unwrap

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
            ((identifier(message, "messageId"),), threads().submit(self._take_one, message))
            for message in messages
        ]
        return failed_records(taken, telemetry.call_failed)

    def _take_one(self, message: Mapping[str, Any]) -> None:
        message_id, body = identifier(message, "messageId"), str(message.get("body", ""))
        try:
            told = unwrap(body)
            if isinstance(told, Notice):
                telemetry.notification_ignored(message_id, told.kind)
                return
            event = event_of(told)
        except Malformed as error:
            self._dead_letter(message_id, body, str(error))
            return
        # One by one: a batch write has no condition, which is what makes a repeated notification a single event.
        self._events.accept([event], now_ms=self._clock())

    def _dead_letter(self, message_id: str, body: str, reason: str) -> None:
        kind = "notification"
        telemetry.dead_lettered(kind, message_id, reason)
        self._dead_letters.put({"kind": kind, "message_id": message_id, "body": body}, reason=reason)
