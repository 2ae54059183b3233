"""What receivers get: the `webhooks` section."""

from typing import Any, Final

from infra.openapi.schema import TEXT, TIME, ref
from posthorn.domain.email_types import EmailType
from posthorn.domain.event_types import built_in

_JSON: Final = "application/json"
_STANDARD_HEADERS: Final = {
    "webhook-id": "The event's id, which is the same in every attempt.",
    "webhook-timestamp": "When this attempt was made, in Unix seconds.",
    "webhook-signature": "The signatures of this attempt, as Standard Webhooks has them.",
}
_WEBHOOK_HEADERS: Final = {
    **_STANDARD_HEADERS,
    "X-SMASHSEND-Signature": "The signature of the body.",
}
_EMAIL_HEADERS: Final = {
    **_STANDARD_HEADERS,
    "X-Splashify-Event": "The event's type.",
    "X-Splashify-Signature": "The signature of the timestamp and the body.",
    "X-Splashify-Timestamp": "When this attempt was made, in Unix seconds.",
    "X-Splashify-Delivery-ID": "Identifies the delivery.",
}
_RECEIVER_ANSWERS: Final = {
    "2XX": {"description": "The delivery is accepted."},
    "4XX": {"description": "The delivery is refused, and is not retried."},
    "5XX": {"description": "The delivery failed, and is retried."},
}
PAYLOADS: Final[dict[str, Any]] = {
    "Payload": {
        "type": "object",
        "description": "What a webhook receives.",
        "properties": {
            "event": {**TEXT, "description": "The event's type."},
            "created_at": {**TIME, "description": "When it happened."},
            "data": {
                "type": "object",
                "additionalProperties": True,
                "description": "The data it was published with.",
            },
        },
        "required": ["event", "created_at", "data"],
    },
    "EmailEvent": {
        "type": "object",
        "description": "SES's event JSON. The third key is named after the event.",
        "properties": {
            "eventType": {**TEXT, "description": "The event's type, as SES names it."},
            "mail": {"type": "object", "additionalProperties": True, "description": "The email."},
        },
        "required": ["eventType", "mail"],
        "additionalProperties": True,
    },
}


def email_delivery(email_type: EmailType) -> dict[str, Any]:
    return {
        "tags": ["Received by event destinations"],
        "summary": f"An email event: {email_type.event_type}",
        "description": f"Event destinations receive this when SES reports the event `{email_type.event_type}`.",
        "operationId": f"receive_email_{email_type.name}",
        "security": [],
        "parameters": _headers(_EMAIL_HEADERS),
        "requestBody": {"required": True, "content": {_JSON: {"schema": ref("EmailEvent")}}},
        "responses": _RECEIVER_ANSWERS,
    }


def webhook_delivery(name: str) -> dict[str, Any]:
    event_type = built_in()[name]
    example = {"event": name, "created_at": "2023-04-16T15:45:00Z", "data": event_type.example}
    return {
        "tags": ["Received by webhooks"],
        "summary": event_type.description,
        "description": f"Webhooks that subscribe to `{name}` receive this.",
        "operationId": f"receive_{name.lower()}",
        "security": [],
        "parameters": _headers(_WEBHOOK_HEADERS),
        "requestBody": {
            "required": True,
            "content": {_JSON: {"schema": ref("Payload"), "example": example}},
        },
        "responses": _RECEIVER_ANSWERS,
    }


def _headers(descriptions: dict[str, str]) -> list[dict[str, Any]]:
    return [
        {"name": name, "in": "header", "required": True, "description": text, "schema": {"type": "string"}}
        for name, text in descriptions.items()
    ]
