"""What receivers get: the `webhooks` section."""

import json
from typing import Any, Final

from infra.openapi.payloads import SCHEMAS
from infra.openapi.schema import ref
from posthorn.domain.clock import rfc3339
from posthorn.domain.email_types import EmailType
from posthorn.domain.endpoint_kind import EndpointKind
from posthorn.domain.event_types import built_in
from posthorn.domain.ids import CONFIGURATION_SET, EVENT, WORKSPACE, new_id
from posthorn.domain.models import Event
from posthorn.email.examples import example_event
from posthorn.settings import Brand
from posthorn.wire.ecmascript import stringify
from posthorn.wire.formats import body_of, content_type_of, formats_of

_STANDARD_HEADERS: Final = {
    "webhook-id": "The event's id, which is the same in every attempt.",
    "webhook-timestamp": "When this attempt was made, in Unix seconds.",
    "webhook-signature": (
        "The signatures of this attempt, as Standard Webhooks defines them. The key is the text of the secret, or the"
        " bytes that a `whsec_` secret encodes."
    ),
}
_WEBHOOK_HEADERS: Final = {
    **_STANDARD_HEADERS,
    f"{Brand().header_prefix}-Signature": "The hex HMAC-SHA256 of the body. The key is the text of the token.",
}
_EMAIL_PREFIX: Final = Brand().email_header_prefix
_EMAIL_HEADERS: Final = {
    **_STANDARD_HEADERS,
    f"{_EMAIL_PREFIX}-Event": "The event's type, as SES names it.",
    f"{_EMAIL_PREFIX}-Signature": "`sha256=` and the hex HMAC-SHA256 of the body. The key is the text of the secret.",
    f"{_EMAIL_PREFIX}-Timestamp": "When this attempt was made, in Unix seconds.",
    f"{_EMAIL_PREFIX}-Delivery-ID": "Identifies the attempt: a UUID.",
}
_RECEIVER_ANSWERS: Final = {
    "2XX": {"description": "The delivery is accepted."},
    "4XX": {"description": "The delivery is refused, and is not retried."},
    "5XX": {"description": "The delivery failed, and is retried."},
}
_AT: Final = 1_681_659_900_000
_WORKSPACE: Final = new_id(WORKSPACE, now_ms=_AT, entropy=bytes(10))
_SET: Final = new_id(CONFIGURATION_SET, now_ms=_AT, entropy=bytes(10))


def email_delivery(email_type: EmailType) -> dict[str, Any]:
    event = example_event(email_type.name, channel=_SET, workspace=_WORKSPACE)
    return {
        "tags": ["Received by event destinations"],
        "summary": f"An email event: {email_type.event_type}",
        "description": f"Event destinations receive this when SES reports the event `{email_type.event_type}`.",
        "operationId": f"receive_email_{email_type.name}",
        "security": [],
        "parameters": _headers(_EMAIL_HEADERS),
        "requestBody": _body(EndpointKind.EVENT_DESTINATION, event),
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
        "tags": ["Received by webhooks"],
        "summary": event_type.description,
        "description": f"Webhooks that subscribe to `{name}` receive this.",
        "operationId": f"receive_{name.lower()}",
        "security": [],
        "parameters": _headers(_WEBHOOK_HEADERS),
        "requestBody": _body(EndpointKind.WEBHOOK, event),
        "responses": _RECEIVER_ANSWERS,
    }


def _headers(descriptions: dict[str, str]) -> list[dict[str, Any]]:
    return [
        {"name": name, "in": "header", "required": True, "description": text, "schema": {"type": "string"}}
        for name, text in descriptions.items()
    ]


def _body(kind: EndpointKind, event: Event) -> dict[str, Any]:
    """Describe the body in every format that an endpoint can choose, with an example that the sender's code wrote."""
    content: dict[str, Any] = {}
    for payload_format in formats_of(kind):
        media = content.setdefault(content_type_of(payload_format), {"schema": [], "examples": {}})
        media["schema"].append(ref(SCHEMAS[payload_format]))
        media["examples"][str(payload_format)] = {
            "summary": f"The format `{payload_format}`.",
            "value": json.loads(body_of(payload_format, event)),
        }
    for media in content.values():
        schemas = media["schema"]
        media["schema"] = schemas[0] if len(schemas) == 1 else {"oneOf": schemas}
    return {"required": True, "content": content}
