"""The API's operations: parameters, bodies, answers and errors."""

import re
from typing import Any, Final

from infra.openapi.contents import CONTENT
from infra.openapi.schema import TEXT, TIME, ref
from posthorn.api.route import Route
from posthorn.api.routes.configuration_sets import PATH as SETS
from posthorn.api.routes.deliveries import FILTERS
from posthorn.api.routes.events import NewEvent

_JSON: Final = "application/json"
_HTML: Final = "text/html"
_PROBLEM: Final = "application/problem+json"
_QUERY: Final[dict[str, dict[str, Any]]] = {
    "limit": {"schema": {"type": "integer", "minimum": 1, "maximum": 100, "default": 100}},
    "cursor": {"schema": TEXT},
    "status": {"schema": {"type": "string", "enum": list(FILTERS)}},
    "event": {"schema": TEXT, "description": "Only of this type, in either spelling."},
    "since": {"schema": TIME, "description": "Accepted then or later."},
    "until": {"schema": TIME, "description": "Accepted before then."},
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


def describe(route: Route) -> dict[str, Any]:
    status, schema = CONTENT[route.operation]
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
        body = ref(route.body.__name__)
        if route.body is NewEvent:
            body = {"oneOf": [body, ref("NewEvents")]}
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
    return {"description": _PROBLEMS[status], "content": {_PROBLEM: {"schema": ref("Problem")}}}
