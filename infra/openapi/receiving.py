"""What receivers get: the `webhooks` section."""

from typing import Any, Final

from infra.openapi.schema import ref
from posthorn.domain.email_types import EmailType
from posthorn.domain.event_types import built_in

_JSON: Final = "application/json"
_STANDARD_HEADERS: Final = ("webhook-id", "webhook-timestamp", "webhook-signature")
_RECEIVER_ANSWERS: Final = {
    "2XX": {"description": "Taken. Anything else is not: 5xx is tried again, 4xx is not."}
}


def email_delivery(email_type: EmailType) -> dict[str, Any]:
    headers = ("Event", "Signature", "Timestamp", "Delivery-ID")
    return {
        "summary": f"A mail's event: {email_type.event_type}",
        "operationId": f"receive_email_{email_type.name}",
        "security": [],
        "parameters": [
            {"name": name, "in": "header", "required": True, "schema": {"type": "string"}}
            for name in (*_STANDARD_HEADERS, *(f"X-Splashify-{header}" for header in headers))
        ],
        "requestBody": {"required": True, "content": {_JSON: {"schema": ref("EmailEvent")}}},
        "responses": _RECEIVER_ANSWERS,
    }


def webhook_delivery(name: str) -> dict[str, Any]:
    event_type = built_in()[name]
    example = {"event": name, "created_at": "2023-04-16T15:45:00Z", "data": event_type.example}
    headers = (*_STANDARD_HEADERS, "X-SMASHSEND-Signature")
    return {
        "summary": event_type.description,
        "operationId": f"receive_{name.lower()}",
        "security": [],
        "parameters": [
            {"name": header, "in": "header", "required": True, "schema": {"type": "string"}}
            for header in headers
        ],
        "requestBody": {
            "required": True,
            "content": {_JSON: {"schema": ref("Payload"), "example": example}},
        },
        "responses": {"2XX": {"description": "Taken. Anything else is not: 5xx is tried again, 4xx is not."}},
    }
