"""Which operation answers with what, and with which status when all is well."""

from typing import Any, Final

from infra.openapi.log_shapes import log_contents, replay_contents
from infra.openapi.schema import BOOL, TEXT, TIME, object_of, ref
from infra.openapi.shapes import EVENT
from posthorn.api.routes.configuration_sets import PATH as SETS
from posthorn.api.routes.endpoint_kinds import DESTINATIONS as EVENT_DESTINATIONS
from posthorn.api.routes.endpoint_kinds import ENDPOINT_RESOURCES, WEBHOOKS
from posthorn.api.routes.event_destinations import PATH as DESTINATIONS

CONTENT: Final[dict[str, tuple[str, dict[str, Any]]]] = {
    **replay_contents(WEBHOOKS, "Replay"),
    **replay_contents(EVENT_DESTINATIONS, "EventDestinationReplay"),
    "GET /v1/webhooks": (
        "200",
        object_of({"webhooks": {"type": "array", "items": ref("Webhook")}}, {"nextCursor": TEXT}),
    ),
    "POST /v1/webhooks": ("201", object_of({"webhook": ref("WebhookWithToken")})),
    "GET /v1/webhooks/{webhookId}": ("200", object_of({"webhook": ref("WebhookWithToken")})),
    "PUT /v1/webhooks/{webhookId}": (
        "200",
        object_of(
            {"webhook": ref("WebhookWithToken")},
            {"undelivered": object_of({"count": {"type": "integer"}, "isMore": {"type": "boolean"}})},
        ),
    ),
    "POST /v1/webhooks/{webhookId}/rotate-token": (
        "200",
        object_of({"webhook": ref("WebhookWithToken")}, {"previousTokenUntil": TIME}),
    ),
    "GET /v1/event-types": (
        "200",
        object_of({"eventTypes": {"type": "array", "items": ref("EventType")}}, {"nextCursor": TEXT}),
    ),
    "POST /v1/event-types": ("201", object_of({"eventType": ref("EventType")})),
    "GET /v1/event-types/{name}": ("200", object_of({"eventType": ref("EventType")})),
    "DELETE /v1/event-types/{name}": ("200", object_of({"deleted": {"const": True}})),
    "GET /v1/api-keys": (
        "200",
        object_of({"apiKeys": {"type": "array", "items": ref("ApiKey")}}, {"nextCursor": TEXT}),
    ),
    "POST /v1/api-keys": ("201", object_of({"apiKey": ref("ApiKeyWithText")})),
    "DELETE /v1/api-keys/{keyId}": ("200", object_of({"deleted": {"const": True}})),
    "DELETE /v1/webhooks/{webhookId}": ("200", object_of({"deleted": {"const": True}})),
    "POST /v1/events": (
        "202",
        {
            "oneOf": [
                object_of({"event": ref("AcceptedEvent")}),
                object_of({"events": {"type": "array", "items": ref("AcceptedEvent")}}),
            ]
        },
    ),
    "GET /v1/events": (
        "200",
        object_of({"events": {"type": "array", "items": ref("EventInList")}}, {"nextCursor": TEXT}),
    ),
    "GET /v1/events/{eventId}": ("200", object_of({"event": ref("Event")})),
    "GET /v1/events/{eventId}/match": (
        "200",
        object_of(
            {
                "event": object_of({**EVENT, "isTest": BOOL}),
                "matched": BOOL,
                "webhooks": {"type": "array", "items": ref("Match")},
            }
        ),
    ),
    **{
        operation: content
        for resource in ENDPOINT_RESOURCES
        for operation, content in log_contents(resource).items()
    },
    f"GET {SETS}": (
        "200",
        object_of(
            {"configuration_sets": {"type": "array", "items": ref("ConfigurationSet")}},
            {"next_cursor": TEXT},
        ),
    ),
    f"POST {SETS}": ("201", ref("ConfigurationSet")),
    f"GET {SETS}/{{configSetId}}": ("200", ref("ConfigurationSet")),
    f"PATCH {SETS}/{{configSetId}}": ("200", ref("ConfigurationSet")),
    f"DELETE {SETS}/{{configSetId}}": ("200", object_of({"deleted": {"const": True}})),
    f"GET {DESTINATIONS}": (
        "200",
        object_of(
            {"event_destinations": {"type": "array", "items": ref("EventDestination")}},
            {"next_cursor": TEXT},
        ),
    ),
    f"POST {DESTINATIONS}": ("201", ref("EventDestination")),
    f"GET {DESTINATIONS}/{{destinationId}}": ("200", ref("EventDestination")),
    f"PATCH {DESTINATIONS}/{{destinationId}}": ("200", ref("ChangedEventDestination")),
    f"DELETE {DESTINATIONS}/{{destinationId}}": ("200", object_of({"deleted": {"const": True}})),
    "POST /api/v1/partner/email/send": (
        "202",
        object_of({"message_id": {"type": "string", "format": "uuid"}}),
    ),
    "GET /health": ("200", object_of({"status": {"const": "ok"}})),
    "GET /openapi.json": ("200", {"type": "object"}),
    "GET /docs": ("200", TEXT),
}
