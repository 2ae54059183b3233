"""The bodies that receivers get, one schema per payload format."""

from typing import Any, Final

from infra.openapi.schema import TEXT, TIME
from posthorn.domain.endpoint_kind import PayloadFormat

SCHEMAS: Final = {
    PayloadFormat.EVENT_JSON: "Payload",
    PayloadFormat.SES_JSON: "EmailEvent",
    PayloadFormat.STANDARD_JSON: "StandardPayload",
    PayloadFormat.CLOUDEVENTS_JSON: "CloudEvent",
}

_DATA: Final = {
    "type": "object",
    "additionalProperties": True,
    "description": "The data that the event was published with; for an email event, the whole event as SES writes it.",
}
_TYPE: Final = {**TEXT, "description": "The event's type."}
_TIME: Final = {**TIME, "description": "When the event happened."}

PAYLOADS: Final[dict[str, Any]] = {
    "Payload": {
        "type": "object",
        "description": "The format `event_json`.",
        "properties": {"event": _TYPE, "created_at": _TIME, "data": _DATA},
        "required": ["event", "created_at", "data"],
    },
    "EmailEvent": {
        "type": "object",
        "description": "The format `ses_json`: SES's event JSON. The third key is named after the event.",
        "properties": {
            "eventType": {**TEXT, "description": "The event's type, as SES names it."},
            "mail": {"type": "object", "additionalProperties": True, "description": "The email."},
        },
        "required": ["eventType", "mail"],
        "additionalProperties": True,
    },
    "StandardPayload": {
        "type": "object",
        "description": "The format `standard_json`: the payload that Standard Webhooks recommends.",
        "properties": {"type": _TYPE, "timestamp": _TIME, "data": _DATA},
        "required": ["type", "timestamp", "data"],
    },
    "CloudEvent": {
        "type": "object",
        "description": "The format `cloudevents_json`: CloudEvents 1.0 in structured mode.",
        "properties": {
            "specversion": {"const": "1.0", "description": "Always `1.0`."},
            "id": {**TEXT, "description": "The event's id, the same as `webhook-id`."},
            "source": {
                "type": "string",
                "format": "uri-reference",
                "description": "The channel of the event.",
            },
            "type": _TYPE,
            "time": _TIME,
            "datacontenttype": {"const": "application/json", "description": "Always `application/json`."},
            "data": _DATA,
        },
        "required": ["specversion", "id", "source", "type", "time", "datacontenttype", "data"],
    },
}
