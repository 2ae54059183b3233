"""What the API answers: the schemas that have names."""

from typing import Any, Final

from infra.openapi.log_shapes import UNREADABLE, attempt_shape, log_shapes, replay_shape, standing_of
from infra.openapi.schema import BOOL, OBJECT, TEXT, TIME, TIME_OR_NULL, either, object_of, ref
from posthorn.api.routes.endpoint_kinds import DESTINATIONS as EVENT_DESTINATIONS
from posthorn.api.routes.endpoint_kinds import ENDPOINT_RESOURCES, WEBHOOKS
from posthorn.api.routes.match_explanations import MatchReason
from posthorn.domain.api_key import KeyState, Scope
from posthorn.domain.endpoint_kind import EndpointKind
from posthorn.domain.models import DisabledReason, Health, Suppression
from posthorn.wire.formats import formats_of

_WEBHOOK: Final = {
    "id": TEXT,
    "url": TEXT,
    "events": {"type": "array", "items": TEXT},
    "createdAt": TIME,
    "enabled": {"type": "boolean"},
    "description": {"type": ["string", "null"]},
    "retry_rate_limited": {"type": "boolean"},
    "format": {"type": "string", "enum": list(formats_of(EndpointKind.WEBHOOK))},
}
_DISABLED: Final = {
    "disabledReason": {"type": "string", "enum": list(DisabledReason)},
    "disabledAt": TIME,
    "health": {"type": "string", "enum": [one for one in Health if one is not Health.HEALTHY]},
    "healthSince": TIME,
}
_API_KEY: Final = {
    "id": TEXT,
    "name": TEXT,
    "scopes": {"type": "array", "items": {"type": "string", "enum": sorted(Scope)}},
    "state": {"type": "string", "enum": list(KeyState)},
    "createdAt": TIME,
    "expiresAt": TIME_OR_NULL,
    "lastUsedAt": TIME_OR_NULL,
    "revokedAt": TIME_OR_NULL,
}
EVENT: Final = {"id": TEXT, "event": TEXT, "created_at": TIME}
_DELETED: Final = {"deletedAt": TIME}
_SPREAD: Final = {"isTest": BOOL, "matched": BOOL}
_DESTINATION: Final = {
    "destination_id": TEXT,
    "name": TEXT,
    "destination_type": {"const": "WEBHOOK"},
    "webhook_url": TEXT,
    "matching_event_types": {"type": "array", "items": TEXT},
    "format": {"type": "string", "enum": list(formats_of(EndpointKind.EVENT_DESTINATION))},
    "enabled": {"type": "boolean"},
    "created_at": TIME,
}
_DESTINATION_DISABLED: Final = {
    "disabled_reason": {"type": "string", "enum": list(DisabledReason)},
    "disabled_at": TIME,
    "health": {"type": "string", "enum": [one for one in Health if one is not Health.HEALTHY]},
    "health_since": TIME,
}
ANSWERS: Final[dict[str, Any]] = {
    "Webhook": object_of(_WEBHOOK, _DISABLED),
    "WebhookWithToken": object_of({**_WEBHOOK, "token": TEXT}, _DISABLED),
    "AcceptedEvent": object_of(EVENT),
    "Event": object_of(
        {
            **EVENT,
            "data": {"type": "object"},
            **_SPREAD,
            "deliveries": {"type": "array", "items": ref("DeliveryOfEvent")},
        }
    ),
    "EventInList": object_of(
        {**EVENT, **_SPREAD, "deliveries": {"type": "array", "items": ref("DeliveryInList")}}
    ),
    "DeliveryInList": either(
        object_of({"webhookId": TEXT, **standing_of(WEBHOOKS)[0]}, {**_DELETED, **standing_of(WEBHOOKS)[1]}),
        object_of({"webhookId": TEXT, **UNREADABLE}, _DELETED),
    ),
    "DeliveryOfEvent": either(
        object_of(
            {
                "webhookId": TEXT,
                **standing_of(WEBHOOKS)[0],
                "attempts": {"type": "array", "items": attempt_shape(WEBHOOKS)},
            },
            {**_DELETED, **standing_of(WEBHOOKS)[1]},
        ),
        object_of({"webhookId": TEXT, **UNREADABLE}, _DELETED),
    ),
    "Match": object_of(
        {
            "webhookId": TEXT,
            "matched": BOOL,
            "reason": {"type": "string", "enum": list(MatchReason)},
            "explanation": TEXT,
            "createdAt": TIME,
        },
        {
            "pattern": TEXT,
            **_DELETED,
            **_DISABLED,
            "delivery": either(object_of(*standing_of(WEBHOOKS)), object_of(UNREADABLE)),
        },
    ),
    **{name: schema for resource in ENDPOINT_RESOURCES for name, schema in log_shapes(resource).items()},
    "ConfigurationSet": object_of(
        {
            "config_set_id": TEXT,
            "name": TEXT,
            "suppression_options": {"type": "string", "enum": list(Suppression)},
            "created_at": TIME,
        }
    ),
    "EventDestination": object_of(_DESTINATION, _DESTINATION_DISABLED),
    "ChangedEventDestination": object_of(
        _DESTINATION,
        {
            **_DESTINATION_DISABLED,
            "undelivered": object_of({"count": {"type": "integer"}, "is_more": {"type": "boolean"}}),
        },
    ),
    "EventType": object_of(
        {
            "name": TEXT,
            "description": TEXT,
            "example": OBJECT,
            "source": {"type": "string", "enum": ["built-in", "own"]},
        },
        {"operational": {"const": True}, "schema": OBJECT, "createdAt": TIME},
    ),
    "ApiKey": object_of(_API_KEY),
    "ApiKeyWithText": object_of(
        _API_KEY, {"key": {"type": "string", "description": "Shown once: only its hash is stored."}}
    ),
    "Replay": replay_shape(WEBHOOKS),
    "EventDestinationReplay": replay_shape(EVENT_DESTINATIONS),
    "EmailEvent": {
        "type": "object",
        "description": "SES's event JSON; the third key is named after the event.",
        "properties": {"eventType": TEXT, "mail": {"type": "object"}},
        "required": ["eventType", "mail"],
    },
    "Payload": object_of({"event": TEXT, "created_at": TIME, "data": {"type": "object"}}),
    "StandardPayload": object_of({"type": TEXT, "timestamp": TIME, "data": {"type": "object"}}),
    "CloudEvent": object_of(
        {
            "specversion": {"const": "1.0"},
            "id": {"type": "string", "description": "The same as `webhook-id`."},
            "source": {"type": "string", "format": "uri-reference"},
            "type": TEXT,
            "time": TIME,
            "datacontenttype": {"const": "application/json"},
            "data": {"type": "object"},
        }
    ),
    "Problem": object_of(
        {
            "type": TEXT,
            "title": TEXT,
            "status": {"type": "integer"},
            "detail": TEXT,
            "code": TEXT,
        },
        {"errors": {"type": "array", "items": object_of({"pointer": TEXT, "detail": TEXT})}},
    ),
}
