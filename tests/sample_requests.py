"""A valid request body for each operation of the API, for tests that call all of them."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

from posthorn.api.routes.configuration_sets import PATH as SETS
from posthorn.api.routes.event_destinations import PATH as DESTINATIONS
from posthorn.api.routes.sender_identities import PATH as SENDER_IDENTITIES
from posthorn.api.routes.workspaces import ONE as WORKSPACE

if TYPE_CHECKING:
    from posthorn.api.route import Route

WEBHOOK: Final = "/v1/webhooks/{webhookId}"
DESTINATION: Final = f"{DESTINATIONS}/{{destinationId}}"
SINCE: Final = "2020-01-01T00:00:00Z"


def event_type(unique: str) -> str:
    """Return the name of an event type."""
    return "T_" + re.sub("[^A-Z0-9]", "_", unique.upper())


def destination(host: str = "yourapp.com") -> dict[str, Any]:
    """Return the fields of an event destination."""
    return {
        "name": "production-webhook",
        "destination_type": "WEBHOOK",
        "webhook_url": f"https://{host}/webhooks/splashify",
        "webhook_secret": "your-shared-secret-32-chars",
        "matching_event_types": ["send", "delivered"],
    }


def body_for(route: Route, *, unique: str, host: str = "hooks.example.com") -> Any:
    """Return a valid body for the route, or None if it takes none; `unique` makes names unique."""
    bodies: dict[str, Any] = {
        "POST /v1/webhooks": {"url": f"https://{host}/", "events": ["*"], "description": unique},
        f"PUT {WEBHOOK}": {"description": unique},
        f"POST {WEBHOOK}/rotate-token": {"overlapHours": 1},
        f"POST {WEBHOOK}/replays": {"since": SINCE},
        "POST /v1/events": {"event": "CONTACT_CREATED", "data": {"of": unique}},
        "POST /v1/event-types": {
            "name": event_type(unique),
            "description": unique,
            "example": {"of": unique},
        },
        "PUT /v1/event-types/{name}": {"description": unique, "example": {"of": unique}},
        "POST /v1/api-keys": {"name": unique[:64], "scopes": ["admin"]},
        f"PUT {WORKSPACE}": {"name": unique},
        f"PATCH {WORKSPACE}": {"name": unique},
        f"POST {SENDER_IDENTITIES}": {"identity": f"{re.sub('[^a-z0-9]', '-', unique.lower())}.example.com"},
        f"POST {SETS}": {"name": unique},
        f"PATCH {SETS}/{{configSetId}}": {"suppression_options": "NONE"},
        f"POST {DESTINATIONS}": destination(host),
        f"PATCH {DESTINATION}": {"name": unique},
        f"POST {DESTINATION}/replays": {"since": SINCE},
        "POST /api/v1/partner/email/send": {
            "from": "hello@yourcompany.com",
            "to": ["success@simulator.amazonses.com"],
            "subject": unique,
            "text_body": unique,
        },
    }
    return bodies.get(route.operation)
