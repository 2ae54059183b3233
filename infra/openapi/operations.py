"""The API's operations: parameters, bodies, answers and errors."""

import re
from typing import Any, Final

from infra.openapi.examples import EXAMPLES
from infra.openapi.schema import TEXT, TIME, ref
from infra.openapi.tags import tag_of
from posthorn.api.access import HEADER
from posthorn.api.route import Route
from posthorn.api.routes.configuration_sets import PATH as SETS
from posthorn.api.routes.deliveries import FILTERS
from posthorn.api.routes.events import NewEvent
from posthorn.api.routes.workspaces import PATH as WORKSPACES
from posthorn.domain.api_key import Scope
from posthorn.domain.trouble import HealthFilter
from posthorn.domain.workspace import NAME_PATTERN, WorkspaceStatus

_JSON: Final = "application/json"
_HTML: Final = "text/html"
_PROBLEM: Final = "application/problem+json"
_PATH_PARAMETERS: Final = {
    "webhookId": "The webhook's id.",
    "eventId": "The event's id.",
    "replayId": "The bulk replay's id.",
    "name": "The event type's name, in either spelling. Percent-encode it: `orders/create` is `orders%2Fcreate`.",
    "keyId": "The API key's id.",
    "configSetId": "The configuration set's id.",
    "destinationId": "The event destination's id.",
    "workspace": "The workspace's id or uid.",
    "identity": "The domain or the address.",
}
_QUERY: Final[dict[str, dict[str, Any]]] = {
    "limit": {
        "schema": {"type": "integer", "minimum": 1, "maximum": 100, "default": 100},
        "description": "The largest number of entries in a page.",
    },
    "cursor": {"schema": TEXT, "description": "The cursor in the previous page's answer."},
    "status": {
        "schema": {"type": "string", "enum": list(FILTERS)},
        "description": "Only deliveries with this status; `undelivered` stands for all but `delivered`.",
    },
    "event": {"schema": TEXT, "description": "Only events of this type, in either spelling."},
    "health": {
        "schema": {"type": "string", "enum": list(HealthFilter)},
        "description": "Only endpoints that fail or were disabled for it (`failing`), or that are disabled (`disabled`).",
    },
    "since": {"schema": TIME, "description": "Only events accepted at this time or later."},
    "until": {"schema": TIME, "description": "Only events accepted before this time."},
}
_STATUS: Final[dict[str, Any]] = {
    "schema": {"type": "string", "enum": list(WorkspaceStatus)},
    "description": "Only workspaces with this status.",
}
_IDEMPOTENCY_KEY: Final = {
    "name": "Idempotency-Key",
    "in": "header",
    "description": (
        "Makes the request safe to repeat: a repetition with the same key and the same body changes nothing more."
    ),
    "schema": {"type": "string", "pattern": "^[!-~]{1,255}$"},
}
_WORKSPACE: Final = {
    "name": HEADER,
    "in": "header",
    "description": "The id or uid of the workspace to act on. Required with a platform key; other keys have their own.",
    "schema": {"type": "string", "pattern": NAME_PATTERN},
}
_RETRY_AFTER: Final = {
    "Retry-After": {
        "description": "Seconds to wait before the next try. Without it, wait longer after each try.",
        "schema": {"type": "integer", "minimum": 0},
    }
}
_SUCCESSES: Final = {
    200: "The request succeeded.",
    201: "The resource was created.",
    202: "The request was accepted. The work goes on after this answer.",
}
_PROBLEMS: Final = {
    400: "The request is not well-formed.",
    401: "There is no valid API key.",
    403: "The API key lacks the scope or was asked to grant one that it lacks, or the workspace is suspended.",
    404: "There is no such resource in this workspace, or no such workspace.",
    409: "The request conflicts with the state of the resource, or with an earlier use of its Idempotency-Key.",
    413: "The request or an event is too large.",
    415: "The body has a Content-Encoding.",
    422: "The request is well-formed, but its content is not valid, or beyond a limit of the workspace (`limit_reached`).",
    500: "An operator must act first (`operator_error`), or Posthorn has a fault (`internal_error`). Do not retry.",
    503: "Temporarily unavailable. Retry the request.",
}
_THROTTLED: Final[dict[str, Any]] = {
    "description": "There were too many requests. Retry later.",
    "headers": _RETRY_AFTER,
    "content": {_JSON: {"schema": ref("Throttled")}},
}

_RATE_LIMITED: Final = {
    "description": (
        "There were too many requests, or the workspace is over a limit of its own (`rate_limited`). Retry later."
    ),
    "headers": _RETRY_AFTER,
    "content": {_PROBLEM: {"schema": ref("Problem")}, **_THROTTLED["content"]},
}


def describe(route: Route, answer: dict[str, Any]) -> dict[str, Any]:
    """Return the operation of a route; `answer` is the schema of what it answers with."""
    operation: dict[str, Any] = {
        "tags": [tag_of(route.path)],
        "summary": route.summary,
        "description": _description(route),
        "operationId": route.handle.__name__,
        "parameters": _parameters(route),
        "responses": {
            **{
                str(status): {
                    "description": _SUCCESSES[status],
                    "content": {_media_type(route): {"schema": answer}},
                }
                for status in ((200, 201) if route.is_upsert else (route.status,))
            },
            **{str(code): _problem(code) for code in _problems(route)},
            "429": _RATE_LIMITED if route.is_rate_limited else _THROTTLED,
            **({} if route.scope is None else _failures()),
        },
    }
    if route.body is not None:
        operation["requestBody"] = {
            "required": not route.is_body_optional,
            "content": {_JSON: _body(route.body.__name__)},
        }
    if route.scope is None:
        operation["security"] = []
    return operation


def _failures() -> dict[str, Any]:
    return {"500": _problem(500), "503": {**_problem(503), "headers": _RETRY_AFTER}}


def _description(route: Route) -> str:
    if route.scope is None:
        return f"Needs no API key. {route.note}".rstrip()
    return f"Needs an API key with the scope `{route.scope}`. {route.note}".rstrip()


def _body(model: str) -> dict[str, Any]:
    if model != NewEvent.__name__:
        return {"schema": ref(model), "example": EXAMPLES[model]}
    return {
        "schema": {"oneOf": [ref("NewEvent"), ref("NewEvents")]},
        "examples": {
            "event": {"summary": "One event", "value": EXAMPLES["NewEvent"]},
            "batch": {"summary": "Several events", "value": EXAMPLES["NewEvents"]},
        },
    }


def _media_type(route: Route) -> str:
    return _HTML if route.operation == "GET /docs" else _JSON


def _parameters(route: Route) -> list[dict[str, Any]]:
    parameters: list[dict[str, Any]] = [
        {
            "name": name,
            "in": "path",
            "required": True,
            "description": _PATH_PARAMETERS[name],
            "schema": {"type": "string"},
        }
        for name in re.findall(r"{(\w+)}", route.path)
    ]
    parameters += [
        {
            "name": name,
            "in": "query",
            **(_STATUS if route.path == WORKSPACES and name == "status" else _QUERY[name]),
        }
        for name in route.query
    ]
    if isinstance(route.scope, Scope):
        parameters.append(_WORKSPACE)
    if route.method == "POST":
        parameters.append(_IDEMPOTENCY_KEY)
    return parameters


def _problems(route: Route) -> list[int]:
    if route.scope is None:
        return []
    codes = {400, 401, 403}
    if route.body is not None or route.method == "POST":
        codes |= {409, 413, 415, 422}
    if route.operation in {f"DELETE {SETS}/{{configSetId}}", "DELETE /v1/event-types/{name}"}:
        codes.add(409)
    if "{" in route.path or isinstance(route.scope, Scope):
        codes.add(404)  # what a path, a name or a header refers to
    return sorted(codes)


def _problem(status: int) -> dict[str, Any]:
    return {"description": _PROBLEMS[status], "content": {_PROBLEM: {"schema": ref("Problem")}}}
