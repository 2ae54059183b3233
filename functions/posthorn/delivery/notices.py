"""Notices: what the operator's topic or event bus is told about the endpoints of every workspace.

A notice is written with the operational event that reports the same change, in the transaction that makes the change.
The stream brings it to DispatchFunction, which sends a message for it; DeliverFunction sends the notice. A target that
is down delays no delivery, and a notice that cannot be sent ends in the dead-letter queue.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

from posthorn.delivery.operational_events import WEBHOOK_DISABLED, WEBHOOK_FAILING
from posthorn.domain.clock import rfc3339
from posthorn.domain.errors import Malformed
from posthorn.domain.expunged_event import ExpungedEvent
from posthorn.domain.models import DisabledReason
from posthorn.domain.ttl_cache import TtlCache

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from posthorn.aws.notice_messages import NoticeMessage
    from posthorn.aws.notice_targets import NoticeTarget
    from posthorn.delivery.sender import AttemptResult
    from posthorn.domain.models import Event, Outcome
    from posthorn.stores.events import Events
    from posthorn.stores.workspaces import Workspaces

_REPLAY: Final = "then enable the endpoint and replay the deliveries that it missed."
ACTIONS: Final = {
    (WEBHOOK_FAILING, DisabledReason.FAILING): (
        "Ask the workspace to repair the receiver. The endpoint will be disabled if it keeps failing."
    ),
    (WEBHOOK_DISABLED, DisabledReason.FAILING): f"Ask the workspace to repair the receiver, {_REPLAY}",
    (WEBHOOK_DISABLED, DisabledReason.GONE): (
        "Ask the workspace whether the receiver was removed on purpose. If not, correct the URL or the receiver,"
        f" {_REPLAY}"
    ),
}
"""What to do about each change, in a sentence or two."""

_UIDS: Final = 5000
_UID_MS: Final = 3_600_000  # a uid never changes, but a workspace may be deleted


def failing(result: AttemptResult, *, since_ms: int, until_ms: int) -> str:
    """Return the notice that an endpoint has been failing since a time and will be disabled at another."""
    told = _about(result, DisabledReason.FAILING, since_ms)
    return json.dumps({**told, "willBeDisabledAt": rfc3339(until_ms)})


def disabled(result: AttemptResult, reason: DisabledReason, *, since_ms: int) -> str:
    """Return the notice that an endpoint is being disabled, after failing since a time."""
    return json.dumps(_about(result, reason, since_ms))


def _about(result: AttemptResult, reason: DisabledReason, since_ms: int) -> dict[str, Any]:
    endpoint = result.planned.endpoint
    return {
        "endpoint": {
            "id": endpoint.id,
            "kind": endpoint.kind,
            # only the host: the rest of a URL can be a credential
            "host": urlsplit(endpoint.url).hostname or "",
        },
        "reason": reason,
        "since": rfc3339(since_ms),
        "lastFailure": _failure(result.attempt.outcome),
        "example": {"eventId": result.planned.event.id},
    }


def _failure(outcome: Outcome) -> dict[str, Any]:
    return {"status": outcome.status} if outcome.failure is None else {"cause": outcome.failure}


class Notices:
    """Sends notices to their target, each at least once."""

    def __init__(
        self, target: NoticeTarget, events: Events, workspaces: Workspaces, *, clock: Callable[[], int]
    ) -> None:
        self._target = target
        self._events = events
        self._workspaces = workspaces
        self._uids: TtlCache[str, str] = TtlCache(ttl=_UID_MS, size=_UIDS, clock=clock)

    def send(self, message: NoticeMessage) -> None:
        """Send the notice of an operational event; `Malformed` if there is none."""
        event = self._events.get_many([(message.channel, message.event_id)]).get(message.event_id)
        if isinstance(event, ExpungedEvent):
            return  # its data was removed before this, so nobody is to read it
        if event is None or event.notice is None:
            raise Malformed("there is no such notice")
        told = self._completed(event, event.notice)
        endpoint = told["endpoint"]
        attributes = {
            "workspace": event.workspace,
            "uid": told["workspace"]["uid"],
            "kind": endpoint["kind"],
            "reason": told["reason"],
        }
        self._target.publish(
            event.type,
            json.dumps(told, ensure_ascii=False),
            subject=f"{event.type}: {endpoint['host']}",
            attributes={name: value for name, value in attributes.items() if value is not None},
        )

    def _completed(self, event: Event, notice: str) -> dict[str, Any]:
        told: dict[str, Any] = json.loads(notice)
        return {
            "id": event.id,
            "type": event.type,
            "createdAt": event.created_at,
            "workspace": {"id": event.workspace, "uid": self._uid_of(event.workspace)},
            **told,
            "action": ACTIONS[event.type, DisabledReason(told["reason"])],
        }

    def _uid_of(self, workspace: str) -> str | None:
        """Return the uid of a workspace; None if it was deleted in the meantime."""
        return self._uids.get_or_load_many([workspace], self._load).get(workspace)

    def _load(self, ids: Sequence[str]) -> dict[str, str]:
        return {name: state.uid for name, state in self._workspaces.states(ids).items()}
