"""What receivers get: the `webhooks` section."""

import json
from typing import Any, Final

from infra.openapi.schema import either, ref
from posthorn.domain.clock import rfc3339
from posthorn.domain.email_types import EmailType
from posthorn.domain.endpoint_kind import EndpointKind, PayloadFormat
from posthorn.domain.event_types import built_in
from posthorn.domain.ids import CONFIGURATION_SET, EVENT, WORKSPACE, new_id
from posthorn.domain.models import Event
from posthorn.email.examples import example_event
from posthorn.settings import Brand
from posthorn.wire.ecmascript import stringify
from posthorn.wire.formats import body_of, content_type_of, formats_of

_STANDARD_HEADERS: Final = ("webhook-id", "webhook-timestamp", "webhook-signature")
_RECEIVER_ANSWERS: Final = {
    "2XX": {"description": "Taken. Anything else is not: 5xx is tried again, 4xx is not."}
}
_SCHEMAS: Final = {
    PayloadFormat.EVENT_JSON: "Payload",
    PayloadFormat.SES_JSON: "EmailEvent",
    PayloadFormat.STANDARD_JSON: "StandardPayload",
    PayloadFormat.CLOUDEVENTS_JSON: "CloudEvent",
}
_AT: Final = 1_681_659_900_000
_WORKSPACE: Final = new_id(WORKSPACE, now_ms=_AT, entropy=bytes(10))
_SET: Final = new_id(CONFIGURATION_SET, now_ms=_AT, entropy=bytes(10))


def email_delivery(email_type: EmailType) -> dict[str, Any]:
    prefix = Brand().email_header_prefix
    headers = (f"{prefix}-{name}" for name in ("Event", "Signature", "Timestamp", "Delivery-ID"))
    return {
        "summary": f"A mail's event: {email_type.event_type}",
        "operationId": f"receive_email_{email_type.name}",
        "security": [],
        "parameters": _parameters(*_STANDARD_HEADERS, *headers),
        "requestBody": _body(
            EndpointKind.EVENT_DESTINATION,
            example_event(email_type.name, channel=_SET, workspace=_WORKSPACE),
        ),
        "responses": _RECEIVER_ANSWERS,
    }


def webhook_delivery(name: str) -> dict[str, Any]:
    event_type = built_in()[name]
    event = Event(
        id=new_id(EVENT, now_ms=_AT, entropy=bytes(10)),
        channel=_WORKSPACE,
        workspace=_WORKSPACE,
        type=name,
        data=stringify(event_type.example),
        created_at=rfc3339(_AT),
    )
    return {
        "summary": event_type.description,
        "operationId": f"receive_{name.lower()}",
        "security": [],
        "parameters": _parameters(*_STANDARD_HEADERS, f"{Brand().header_prefix}-Signature"),
        "requestBody": _body(EndpointKind.WEBHOOK, event),
        "responses": _RECEIVER_ANSWERS,
    }


def _parameters(*headers: str) -> list[dict[str, Any]]:
    return [
        {"name": name, "in": "header", "required": True, "schema": {"type": "string"}} for name in headers
    ]


def _body(kind: EndpointKind, event: Event) -> dict[str, Any]:
    """Describe the body in every format that an endpoint can choose, with an example that the sender's code wrote."""
    content: dict[str, Any] = {}
    for payload_format in formats_of(kind):
        media = content.setdefault(content_type_of(payload_format), {"schema": [], "examples": {}})
        media["schema"].append(ref(_SCHEMAS[payload_format]))
        media["examples"][str(payload_format)] = {"value": json.loads(body_of(payload_format, event))}
    for media in content.values():
        schemas = media["schema"]
        media["schema"] = schemas[0] if len(schemas) == 1 else either(*schemas)
    return {"required": True, "content": content}
