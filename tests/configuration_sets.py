"""Configuration sets and their event destinations in an installation, and the mail that causes events."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from tests.installation import Installation, Reply

SETS: Final = "/api/v1/partner/email/configuration-sets"
SECRET: Final = "your-shared-secret-32-chars"

DESTINATION: Final[dict[str, Any]] = {
    "name": "production-webhook",
    "destination_type": "WEBHOOK",
    "webhook_url": "https://yourapp.com/webhooks/splashify",
    "webhook_secret": SECRET,
    "matching_event_types": ["send", "delivered", "bounce", "complaint", "open", "click"],
}

MAIL: Final[dict[str, Any]] = {
    "from": "hello@yourcompany.com",
    "to": ["customer@example.com"],
    "subject": "Welcome",
    "html_body": "<h1>Hi</h1>",
    "configuration_set_name": "production",
}


def new_set(posthorn: Installation, name: str = "production", **fields: Any) -> str:
    reply = posthorn.call("POST", SETS, {"name": name, **fields})
    assert reply.status == 201, reply
    set_id: str = reply.body["config_set_id"]
    return set_id


def new_destination(posthorn: Installation, set_id: str, **fields: Any) -> dict[str, Any]:
    reply = posthorn.call("POST", f"{SETS}/{set_id}/event-destinations", {**DESTINATION, **fields})
    assert reply.status == 201, reply
    destination: dict[str, Any] = reply.body
    return destination


def deliver_all(posthorn: Installation) -> None:
    """Let the backend's notifications become events, and the events deliveries."""
    assert posthorn.notify(posthorn.take("FeedbackQueue")) == set()
    assert posthorn.dispatch() == set()


def check_refusal(reply: Reply, pointer: str) -> None:
    """Check that an error points at its cause and does not repeat the secret."""
    assert reply.status == 422
    assert [error["pointer"] for error in reply.body["errors"]] == [pointer]
    assert SECRET not in json.dumps(reply.body)
