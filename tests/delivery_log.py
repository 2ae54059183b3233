"""The delivery log of a webhook as its owner reads it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from tests.installation import Installation
    from tests.network import Receiver

OURS: Final = frozenset({"host", "accept", "accept-encoding", "content-length"})
"""Headers that the HTTP client adds by itself."""


def log_of(posthorn: Installation, webhook: dict[str, Any], query: str = "") -> list[dict[str, Any]]:
    """Return the first page of the list."""
    reply = posthorn.call("GET", f"/v1/webhooks/{webhook['id']}/deliveries{query}")
    assert reply.status == 200, reply
    found: list[dict[str, Any]] = reply.body["deliveries"]
    return found


def detail_of(posthorn: Installation, webhook: dict[str, Any], event_id: str) -> dict[str, Any]:
    """Return one delivery in full."""
    reply = posthorn.call("GET", f"/v1/webhooks/{webhook['id']}/deliveries/{event_id}")
    assert reply.status == 200, reply
    found: dict[str, Any] = reply.body["delivery"]
    return found


def deliver_to(
    posthorn: Installation, receiver: Receiver, event: str = "CONTACT_CREATED", **fields: Any
) -> str:
    """Publish an event a second later to a receiver with this behavior; return the event's id."""
    posthorn.network.receivers["hooks.example.com"] = receiver
    posthorn.clock.pass_seconds(1)
    event_id = posthorn.publish(event, **fields)
    assert posthorn.dispatch() == set()
    return event_id
