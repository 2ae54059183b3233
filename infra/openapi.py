"""Writes functions/posthorn/openapi.json from the routes and their request models: `make openapi`.

OpenAPI 3.1, with a `webhooks` section for those who receive. The file ships; nothing is generated at run time.
"""

import json
import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from pydantic.json_schema import models_json_schema

from posthorn.api_keys import KeyState, Scope
from posthorn.catalogue import built_in
from posthorn.email_types import EMAIL_TYPES, EmailType
from posthorn.models import DisabledReason, Failure, Health, Reason, Status, Suppression
from posthorn.replay_jobs import JobState, Wanted
from posthorn.routes.configuration_sets import PATH as SETS
from posthorn.routes.deliveries import FILTERS
from posthorn.routes.event_destinations import PATH as DESTINATIONS
from posthorn.routes.events import NewEvent, NewEvents
from posthorn.routes.faces import DESTINATIONS as DESTINATION_FACE
from posthorn.routes.faces import FACES, WEBHOOKS, Face
from posthorn.routes.route import Route
from posthorn.routes.table import ROUTES
from posthorn.routes.verdicts import Why

if TYPE_CHECKING:
    from pydantic import BaseModel

TARGET: Final = Path(__file__).parent.parent / "functions" / "posthorn" / "openapi.json"

_JSON: Final = "application/json"
_HTML: Final = "text/html"
_PROBLEM: Final = "application/problem+json"
_STANDARD_HEADERS: Final = ("webhook-id", "webhook-timestamp", "webhook-signature")
_RECEIVER_ANSWERS: Final = {
    "2XX": {"description": "Taken. Anything else is not: 5xx is tried again, 4xx is not."}
}
_TIME: Final = {"type": "string", "format": "date-time"}


def document() -> dict[str, Any]:
    """Return the whole description as data."""
    paths: dict[str, Any] = {}
    for route in ROUTES:
        paths.setdefault(route.path, {})[route.method.lower()] = _operation(route)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Posthorn",
            "version": "0.1.0",
            "description": "Outbound webhooks: register URLs, publish events, and see what became of them.",
        },
        "security": [{"apiKey": []}],
        "paths": paths,
        "webhooks": {
            **{name: {"post": _delivery(name)} for name in built_in()},
            **{f"email.{one.name}": {"post": _email_delivery(one)} for one in EMAIL_TYPES},
        },
        "components": {
            "securitySchemes": {
                "apiKey": {"type": "http", "scheme": "bearer", "description": "An API key, `phk_…`."}
            },
            "schemas": {**_request_schemas(), **_ANSWERS},
        },
    }


def render() -> str:
    """Return the file's text."""
    return json.dumps(document(), indent=1, ensure_ascii=False) + "\n"


def _request_schemas() -> dict[str, Any]:
    models: list[type[BaseModel]] = [route.body for route in ROUTES if route.body is not None]
    models = [*dict.fromkeys(models), NewEvents]
    _, schemas = models_json_schema(
        [(model, "validation") for model in models], ref_template="#/components/schemas/{model}"
    )
    found: dict[str, Any] = schemas["$defs"]
    # inside a batch, each entry is a NewEvent; the model checks them one by one to point at the culprit
    found["NewEvents"]["properties"]["events"]["items"] = _ref("NewEvent")
    for model, schema in found.items():
        if not model.endswith("Change"):
            continue
        for name, field in schema.get("properties", {}).items():
            if name not in schema.get("required", []):
                field.pop("default", None)  # what is absent from a change stays as it is
    return found


def _operation(route: Route) -> dict[str, Any]:
    status, schema = _CONTENT[route.operation]
    operation: dict[str, Any] = {
        "summary": route.summary,
        "operationId": route.handle.__name__,
        "parameters": _parameters(route),
        "responses": {
            status: {"description": "Done.", "content": {_media_type(route): {"schema": schema}}},
            **{str(code): _problem(code) for code in _problems(route)},
        },
    }
    if route.body is not None:
        body = _ref(route.body.__name__)
        if route.body is NewEvent:
            body = {"oneOf": [body, _ref("NewEvents")]}
        operation["requestBody"] = {
            "required": not route.is_body_optional,
            "content": {_JSON: {"schema": body}},
        }
    if route.scope is None:
        operation["security"] = []
    else:
        operation["description"] = f"Needs an API key with the scope `{route.scope}`. {route.note}".rstrip()
    return operation


def _media_type(route: Route) -> str:
    return _HTML if route.operation == "GET /docs" else _JSON


def _parameters(route: Route) -> list[dict[str, Any]]:
    parameters: list[dict[str, Any]] = [
        {"name": name, "in": "path", "required": True, "schema": {"type": "string"}}
        for name in re.findall(r"{(\w+)}", route.path)
    ]
    parameters += [{"name": name, "in": "query", **_QUERY[name]} for name in route.query]
    if route.method == "POST":
        key = {"type": "string", "pattern": "^[!-~]{1,255}$"}
        parameters.append({"name": "Idempotency-Key", "in": "header", "schema": key})
    return parameters


def _problems(route: Route) -> list[int]:
    if route.scope is None:
        return []
    codes = {400, 401, 403, 503}
    if route.body is not None or route.method == "POST":
        codes |= {409, 413, 422}
    if route.operation in {f"DELETE {SETS}/{{configSetId}}", "DELETE /v1/event-types/{name}"}:
        codes.add(409)
    if "{" in route.path or route.operation.endswith("/email/send"):
        codes.add(404)  # what a path or a name refers to
    return sorted(codes)


def _problem(status: int) -> dict[str, Any]:
    return {"description": _PROBLEMS[status], "content": {_PROBLEM: {"schema": _ref("Problem")}}}


def _email_delivery(email_type: EmailType) -> dict[str, Any]:
    headers = ("Event", "Signature", "Timestamp", "Delivery-ID")
    return {
        "summary": f"A mail's event: {email_type.event_type}",
        "operationId": f"receive_email_{email_type.name}",
        "security": [],
        "parameters": [
            {"name": name, "in": "header", "required": True, "schema": {"type": "string"}}
            for name in (*_STANDARD_HEADERS, *(f"X-Splashify-{header}" for header in headers))
        ],
        "requestBody": {"required": True, "content": {_JSON: {"schema": _ref("EmailEvent")}}},
        "responses": _RECEIVER_ANSWERS,
    }


def _delivery(name: str) -> dict[str, Any]:
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
            "content": {_JSON: {"schema": _ref("Payload"), "example": example}},
        },
        "responses": {"2XX": {"description": "Taken. Anything else is not: 5xx is tried again, 4xx is not."}},
    }


def _ref(name: str) -> dict[str, Any]:
    return {"$ref": f"#/components/schemas/{name}"}


def _object(required: dict[str, Any], optional: dict[str, Any] | None = None) -> dict[str, Any]:
    return {
        "type": "object",
        "properties": {**required, **(optional or {})},
        "required": list(required),
        "additionalProperties": False,
    }


def _replay(face: Face) -> dict[str, Any]:
    """Describe a bulk replay in one face's spelling."""
    count = {"type": "integer", "minimum": 0}
    counts = {
        "matched": {**count, "description": "Found so far; in a dry run, what would be replayed."},
        "replayed": {**count, "description": "Begun anew."},
        "skipped": {**count, "description": "Replayed by somebody else or expired since they were found."},
    }
    progress = {"position": _TIME, "fraction": {"type": "number", "minimum": 0, "maximum": 1}}
    required: dict[str, Any] = {
        "id": _TEXT,
        "state": {"type": "string", "enum": list(JobState)},
        "dry_run": {"type": "boolean"},
        "since": _TIME,
        "until": _TIME,
        "status": {"type": "string", "enum": list(Wanted)},
        "counts": _object(counts),
        "progress": _object(progress),
        "created_at": _TIME,
        "updated_at": _TIME,
    }
    reasons = [Reason.ENDPOINT_DISABLED, Reason.ENDPOINT_DELETED]
    optional = {"reason": {"type": "string", "enum": reasons}, "finished_at": _TIME}
    return _object(face.write(required), face.write(optional))


_TEXT: Final = {"type": "string"}
_OBJECT: Final = {"type": "object"}
_TIME_OR_NULL: Final = {"type": ["string", "null"], "format": "date-time"}
_WEBHOOK: Final = {
    "id": _TEXT,
    "url": _TEXT,
    "events": {"type": "array", "items": _TEXT},
    "createdAt": _TIME,
    "enabled": {"type": "boolean"},
    "description": {"type": ["string", "null"]},
    "retry_rate_limited": {"type": "boolean"},
}
_DISABLED: Final = {
    "disabledReason": {"type": "string", "enum": list(DisabledReason)},
    "disabledAt": _TIME,
    "health": {"type": "string", "enum": [one for one in Health if one is not Health.HEALTHY]},
    "healthSince": _TIME,
}
_API_KEY: Final = {
    "id": _TEXT,
    "name": _TEXT,
    "scopes": {"type": "array", "items": {"type": "string", "enum": sorted(Scope)}},
    "state": {"type": "string", "enum": list(KeyState)},
    "createdAt": _TIME,
    "expiresAt": _TIME_OR_NULL,
    "lastUsedAt": _TIME_OR_NULL,
    "revokedAt": _TIME_OR_NULL,
}
_EVENT: Final = {"id": _TEXT, "event": _TEXT, "created_at": _TIME}
_BOOL: Final = {"type": "boolean"}
_COUNT: Final = {"type": "integer", "minimum": 0}
_DELETED: Final = {"deletedAt": _TIME}
_UNREADABLE: Final = {"unreadable": {"const": True}}
_SPREAD: Final = {"isTest": _BOOL, "matched": _BOOL}
_TEXTS: Final = {"type": "object", "additionalProperties": _TEXT}
_NAMES: Final = {WEBHOOKS: "Webhook", DESTINATION_FACE: "EventDestination"}


def _either(*schemas: dict[str, Any]) -> dict[str, Any]:
    return {"oneOf": list(schemas)}


def _standing(face: Face) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return what is always there and what may be, of where a delivery stands."""
    always = {"status": {"type": "string", "enum": list(Status)}, "attempt_count": _COUNT}
    maybe = {"reason": {"type": "string", "enum": list(Reason)}, "next_attempt_at": _TIME}
    return face.write(always), face.write(maybe)


def _attempt(face: Face, whole: dict[str, Any] | None = None) -> dict[str, Any]:
    always = {
        "attempt": {"type": "integer", "minimum": 1},
        "generation": {"type": "integer", "minimum": 1},
        "started_at": _TIME,
        "latency_ms": _COUNT,
    }
    maybe = {
        "status": {"type": "integer"},
        "failure": {"type": "string", "enum": list(Failure)},
        "error": {"type": ["string", "null"]},
    }
    return _object(face.write({**always, **(whole or {})}), maybe)


def _log_of(face: Face) -> dict[str, Any]:
    """Describe the delivery log as one face writes it."""
    name = _NAMES[face]
    standing, maybe = _standing(face)
    entry = {
        **face.write(
            {
                "event_id": _TEXT,
                "event": _TEXT,
                "generation": {"type": "integer", "minimum": 1},
                "is_test": _BOOL,
                "created_at": _TIME,
            }
        ),
        **standing,
    }
    maybe |= face.write({"replay": _TEXT, "last_attempt": _attempt(face)})
    timings = dict.fromkeys(("dns", "connect", "tls", "first_byte", "total"), _COUNT)
    whole = {
        "timings": _object(face.write(timings)),
        "address": {"type": ["string", "null"]},
        "request": _either(
            _object(
                {
                    "method": {"const": "POST"},
                    "url": {"type": ["string", "null"]},
                    "headers": _TEXTS,
                    "notes": {"type": "array", "items": _TEXT},
                }
            ),
            {"type": "null"},
        ),
        "response": _either(
            _object({"status": {"type": "integer"}, "headers": _TEXTS, "body": _TEXT}), {"type": "null"}
        ),
    }
    detail = face.write(
        {
            "attempts": {"type": "array", "items": _attempt(face, whole)},
            "request_body": {"type": ["string", "null"]},
            "curl": {"type": ["string", "null"]},
            "notes": {"type": "array", "items": _TEXT},
        }
    )
    unreadable = face.write({"event_id": _TEXT, "created_at": _TIME, **_UNREADABLE})
    return {
        f"{name}Delivery": _object(entry, maybe),
        f"{name}DeliveryInList": _either(_ref(f"{name}Delivery"), _object(unreadable)),
        f"{name}DeliveryInFull": _object({**entry, **detail}, maybe),
    }


def _log_content(face: Face) -> dict[str, tuple[str, dict[str, Any]]]:
    name, deliveries = _NAMES[face], f"{face.path}/deliveries"
    return {
        f"GET {deliveries}": (
            "200",
            _object(
                {"deliveries": {"type": "array", "items": _ref(f"{name}DeliveryInList")}},
                face.write({"next_cursor": _TEXT}),
            ),
        ),
        f"GET {deliveries}/{{eventId}}": ("200", _object({"delivery": _ref(f"{name}DeliveryInFull")})),
        f"POST {deliveries}/{{eventId}}/replay": ("202", _object({"delivery": _ref(f"{name}Delivery")})),
        f"POST {face.path}/test": ("202", _object({"event": _ref("AcceptedEvent")})),
    }


_DESTINATION: Final = {
    "destination_id": _TEXT,
    "name": _TEXT,
    "destination_type": {"const": "WEBHOOK"},
    "webhook_url": _TEXT,
    "matching_event_types": {"type": "array", "items": _TEXT},
    "enabled": {"type": "boolean"},
    "created_at": _TIME,
}
_DESTINATION_DISABLED: Final = {
    "disabled_reason": {"type": "string", "enum": list(DisabledReason)},
    "disabled_at": _TIME,
    "health": {"type": "string", "enum": [one for one in Health if one is not Health.HEALTHY]},
    "health_since": _TIME,
}
_ANSWERS: Final[dict[str, Any]] = {
    "Webhook": _object(_WEBHOOK, _DISABLED),
    "WebhookWithToken": _object({**_WEBHOOK, "token": _TEXT}, _DISABLED),
    "AcceptedEvent": _object(_EVENT),
    "Event": _object(
        {
            **_EVENT,
            "data": {"type": "object"},
            **_SPREAD,
            "deliveries": {"type": "array", "items": _ref("DeliveryOfEvent")},
        }
    ),
    "EventInList": _object(
        {**_EVENT, **_SPREAD, "deliveries": {"type": "array", "items": _ref("DeliveryInList")}}
    ),
    "DeliveryInList": _either(
        _object({"webhookId": _TEXT, **_standing(WEBHOOKS)[0]}, {**_DELETED, **_standing(WEBHOOKS)[1]}),
        _object({"webhookId": _TEXT, **_UNREADABLE}, _DELETED),
    ),
    "DeliveryOfEvent": _either(
        _object(
            {
                "webhookId": _TEXT,
                **_standing(WEBHOOKS)[0],
                "attempts": {"type": "array", "items": _attempt(WEBHOOKS)},
            },
            {**_DELETED, **_standing(WEBHOOKS)[1]},
        ),
        _object({"webhookId": _TEXT, **_UNREADABLE}, _DELETED),
    ),
    "Match": _object(
        {
            "webhookId": _TEXT,
            "matched": _BOOL,
            "reason": {"type": "string", "enum": list(Why)},
            "explanation": _TEXT,
            "createdAt": _TIME,
        },
        {
            "pattern": _TEXT,
            **_DELETED,
            **_DISABLED,
            "delivery": _either(_object(*_standing(WEBHOOKS)), _object(_UNREADABLE)),
        },
    ),
    **{name: schema for face in FACES for name, schema in _log_of(face).items()},
    "ConfigurationSet": _object(
        {
            "config_set_id": _TEXT,
            "name": _TEXT,
            "suppression_options": {"type": "string", "enum": list(Suppression)},
            "created_at": _TIME,
        }
    ),
    "EventDestination": _object(_DESTINATION, _DESTINATION_DISABLED),
    "ChangedEventDestination": _object(
        _DESTINATION,
        {
            **_DESTINATION_DISABLED,
            "undelivered": _object({"count": {"type": "integer"}, "is_more": {"type": "boolean"}}),
        },
    ),
    "EventType": _object(
        {
            "name": _TEXT,
            "description": _TEXT,
            "example": _OBJECT,
            "source": {"type": "string", "enum": ["built-in", "own"]},
        },
        {"operational": {"const": True}, "schema": _OBJECT, "createdAt": _TIME},
    ),
    "ApiKey": _object(_API_KEY),
    "ApiKeyWithText": _object(
        _API_KEY, {"key": {"type": "string", "description": "Shown once: only its hash is stored."}}
    ),
    "Replay": _replay(WEBHOOKS),
    "EventDestinationReplay": _replay(DESTINATION_FACE),
    "EmailEvent": {
        "type": "object",
        "description": "SES's event JSON; the third key is named after the event.",
        "properties": {"eventType": _TEXT, "mail": {"type": "object"}},
        "required": ["eventType", "mail"],
    },
    "Payload": _object({"event": _TEXT, "created_at": _TIME, "data": {"type": "object"}}),
    "Problem": _object(
        {
            "type": _TEXT,
            "title": _TEXT,
            "status": {"type": "integer"},
            "detail": _TEXT,
            "code": _TEXT,
        },
        {"errors": {"type": "array", "items": _object({"pointer": _TEXT, "detail": _TEXT})}},
    ),
}


def _replay_contents(face: Face, name: str) -> dict[str, tuple[str, dict[str, Any]]]:
    one, path = _object({"replay": _ref(name)}), f"{face.path}/replays"
    many = {"type": "array", "items": _ref(name)}
    return {
        f"GET {path}": ("200", _object({"replays": many}, face.write({"next_cursor": _TEXT}))),
        f"POST {path}": ("202", one),
        f"GET {path}/{{replayId}}": ("200", one),
        f"POST {path}/{{replayId}}/cancel": ("200", one),
    }


_CONTENT: Final[dict[str, tuple[str, dict[str, Any]]]] = {
    **_replay_contents(WEBHOOKS, "Replay"),
    **_replay_contents(DESTINATION_FACE, "EventDestinationReplay"),
    "GET /v1/webhooks": (
        "200",
        _object({"webhooks": {"type": "array", "items": _ref("Webhook")}}, {"nextCursor": _TEXT}),
    ),
    "POST /v1/webhooks": ("201", _object({"webhook": _ref("WebhookWithToken")})),
    "GET /v1/webhooks/{webhookId}": ("200", _object({"webhook": _ref("WebhookWithToken")})),
    "PUT /v1/webhooks/{webhookId}": (
        "200",
        _object(
            {"webhook": _ref("WebhookWithToken")},
            {"undelivered": _object({"count": {"type": "integer"}, "isMore": {"type": "boolean"}})},
        ),
    ),
    "POST /v1/webhooks/{webhookId}/rotate-token": (
        "200",
        _object({"webhook": _ref("WebhookWithToken")}, {"previousTokenUntil": _TIME}),
    ),
    "GET /v1/event-types": (
        "200",
        _object({"eventTypes": {"type": "array", "items": _ref("EventType")}}, {"nextCursor": _TEXT}),
    ),
    "POST /v1/event-types": ("201", _object({"eventType": _ref("EventType")})),
    "GET /v1/event-types/{name}": ("200", _object({"eventType": _ref("EventType")})),
    "DELETE /v1/event-types/{name}": ("200", _object({"deleted": {"const": True}})),
    "GET /v1/api-keys": (
        "200",
        _object({"apiKeys": {"type": "array", "items": _ref("ApiKey")}}, {"nextCursor": _TEXT}),
    ),
    "POST /v1/api-keys": ("201", _object({"apiKey": _ref("ApiKeyWithText")})),
    "DELETE /v1/api-keys/{keyId}": ("200", _object({"deleted": {"const": True}})),
    "DELETE /v1/webhooks/{webhookId}": ("200", _object({"deleted": {"const": True}})),
    "POST /v1/events": (
        "202",
        {
            "oneOf": [
                _object({"event": _ref("AcceptedEvent")}),
                _object({"events": {"type": "array", "items": _ref("AcceptedEvent")}}),
            ]
        },
    ),
    "GET /v1/events": (
        "200",
        _object({"events": {"type": "array", "items": _ref("EventInList")}}, {"nextCursor": _TEXT}),
    ),
    "GET /v1/events/{eventId}": ("200", _object({"event": _ref("Event")})),
    "GET /v1/events/{eventId}/match": (
        "200",
        _object(
            {
                "event": _object({**_EVENT, "isTest": _BOOL}),
                "matched": _BOOL,
                "webhooks": {"type": "array", "items": _ref("Match")},
            }
        ),
    ),
    **{operation: content for face in FACES for operation, content in _log_content(face).items()},
    f"GET {SETS}": (
        "200",
        _object(
            {"configuration_sets": {"type": "array", "items": _ref("ConfigurationSet")}},
            {"next_cursor": _TEXT},
        ),
    ),
    f"POST {SETS}": ("201", _ref("ConfigurationSet")),
    f"GET {SETS}/{{configSetId}}": ("200", _ref("ConfigurationSet")),
    f"PATCH {SETS}/{{configSetId}}": ("200", _ref("ConfigurationSet")),
    f"DELETE {SETS}/{{configSetId}}": ("200", _object({"deleted": {"const": True}})),
    f"GET {DESTINATIONS}": (
        "200",
        _object(
            {"event_destinations": {"type": "array", "items": _ref("EventDestination")}},
            {"next_cursor": _TEXT},
        ),
    ),
    f"POST {DESTINATIONS}": ("201", _ref("EventDestination")),
    f"GET {DESTINATIONS}/{{destinationId}}": ("200", _ref("EventDestination")),
    f"PATCH {DESTINATIONS}/{{destinationId}}": ("200", _ref("ChangedEventDestination")),
    f"DELETE {DESTINATIONS}/{{destinationId}}": ("200", _object({"deleted": {"const": True}})),
    "POST /api/v1/partner/email/send": (
        "202",
        _object({"message_id": {"type": "string", "format": "uuid"}}),
    ),
    "GET /health": ("200", _object({"status": {"const": "ok"}})),
    "GET /openapi.json": ("200", {"type": "object"}),
    "GET /docs": ("200", _TEXT),
}
_QUERY: Final[dict[str, dict[str, Any]]] = {
    "limit": {"schema": {"type": "integer", "minimum": 1, "maximum": 100, "default": 100}},
    "cursor": {"schema": _TEXT},
    "status": {"schema": {"type": "string", "enum": list(FILTERS)}},
    "event": {"schema": _TEXT, "description": "Only of this type, in either spelling."},
    "since": {"schema": _TIME, "description": "Accepted then or later."},
    "until": {"schema": _TIME, "description": "Accepted before then."},
}
_PROBLEMS: Final = {
    400: "The request is not well-formed.",
    401: "There is no valid API key.",
    403: "The API key lacks the scope, or is to give one that it lacks.",
    404: "There is no such thing, at least not in this workspace.",
    409: "Things are not as the request needs them; `code` tells, and whether the Idempotency-Key was used before.",
    413: "The request or an event is too large.",
    422: "The request is well-formed, but its content is not valid.",
    503: "Not now; try again.",
}

if __name__ == "__main__":
    TARGET.write_text(render(), "utf-8")
    sys.stdout.write(f"wrote {TARGET.name}\n")
