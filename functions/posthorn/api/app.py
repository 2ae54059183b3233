"""The HTTP API: turns API Gateway requests into answers, and every error into a problem document."""

from __future__ import annotations

import base64
import binascii
import json
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote, unquote

from aws_lambda_powertools.event_handler import APIGatewayHttpResolver, Response

from posthorn import telemetry
from posthorn.api.access import Caller, admit
from posthorn.api.http import JSON, Request
from posthorn.api.limits import limit_reached
from posthorn.api.problems import FieldError, Problem, method_not_allowed, not_found
from posthorn.domain.errors import LimitReached, Malformed, OperatorError, Unavailable

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from aws_lambda_powertools.utilities.data_classes import APIGatewayProxyEventV2

    from posthorn.api.route import Route
    from posthorn.api.services import Services

# A page consists of text and inline styles; the browser refuses anything else.
_PAGE: Final = "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'"

_METHODS: Final = ("DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT")
_ALWAYS: Final = {
    "x-content-type-options": "nosniff",
    "strict-transport-security": "max-age=63072000",  # two years, in seconds
}


class _Resolver(APIGatewayHttpResolver):
    """A resolver with path parameters that may contain slashes.

    An HTTP API decodes `%2F` before it passes a path on, and a parameter of the router ends at a slash.
    """

    def __init__(self, open_prefixes: tuple[str, ...]) -> None:
        super().__init__()
        self._open_prefixes = open_prefixes  # of paths of which all the rest is one parameter

    def resolve(self, event: Mapping[str, Any], context: Any) -> dict[str, Any]:
        path = event["rawPath"]
        for prefix in self._open_prefixes:
            if path.startswith(prefix):
                event = {**event, "rawPath": prefix + _encoded(path.removeprefix(prefix))}
        return super().resolve(event, context)


def build(routes: Sequence[Route], find_services: Callable[[], Services]) -> APIGatewayHttpResolver:
    """Build the resolver for all routes; `find_services` is called only when a request needs the services."""
    app = _Resolver(tuple({route.path.rpartition("{")[0] for route in routes if route.has_slashes}))
    known: dict[str, set[str]] = {}
    for route in routes:
        rule = route.path.replace("{", "<").replace("}", ">")
        methods = ["GET", "HEAD"] if route.method == "GET" else [route.method]
        known.setdefault(rule, set()).update(methods)
        app.route(rule, method=methods)(_answering(app, route, find_services))
    for rule, allowed in known.items():
        app.route(rule, method=sorted({*_METHODS} - allowed))(_refusing(app, sorted(allowed)))

    @app.not_found
    def no_such_route(_: Exception) -> Response[str]:
        return _sent(app, _problem(not_found("route")))

    return app


def _encoded(text: str) -> str:
    """Percent-encode a path parameter that may have been decoded."""
    return quote(unquote(text), safe="", errors="replace")


def _refusing(app: APIGatewayHttpResolver, allowed: Sequence[str]) -> Callable[..., Response[str]]:
    def refuse(**_: str) -> Response[str]:
        return _sent(app, _problem(method_not_allowed(allowed)))

    return refuse


def _sent(app: APIGatewayHttpResolver, response: Response[str]) -> Response[str]:
    """Return a response as it leaves: with the headers of every response, and to HEAD without its body."""
    response.headers.update(_ALWAYS)
    if app.current_event.http_method == "HEAD":
        response.body = ""
    return response


def _answering(
    app: APIGatewayHttpResolver, route: Route, find_services: Callable[[], Services]
) -> Callable[..., Response[str]]:
    def answer(**path: str) -> Response[str]:
        if route.has_slashes:
            path = {name: unquote(value) for name, value in path.items()}
        response = _answer_or_problem(app.current_event, route, find_services, path)
        # some of these answers are secret, and none is for others; 202 only repeats ids, and is what publishers pay for
        if route.scope is not None and route.status != 202:
            response.headers["cache-control"] = "no-store"
        return _sent(app, response)

    return answer


def _answer_or_problem(
    event: APIGatewayProxyEventV2, route: Route, find_services: Callable[[], Services], path: dict[str, str]
) -> Response[str]:
    try:
        return _answer(event, route, find_services(), path)
    except Problem as problem:
        return _problem(problem)
    except LimitReached as reached:
        return _problem(limit_reached(reached.name, reached.limit))
    except OperatorError as error:
        telemetry.call_failed(error)  # the log names the cause; the caller could not act on it
        return _problem(
            Problem(
                500, "operator_error", "An operator of this Posthorn must act first. The log has the reason."
            )
        )
    except Unavailable as error:
        telemetry.call_failed(error)
        return _problem(
            Problem(503, "unavailable", "Temporarily unavailable. Retry the request.", retry_after=1)
        )
    except Malformed as error:
        telemetry.row_unreadable(route.operation, str(error))
        return _problem(
            Problem(
                503,
                "unreadable",
                "A newer version of Posthorn wrote this. Retry the request when the update is complete.",
                retry_after=60,
            )
        )
    except Exception as error:  # noqa: BLE001 - the last line of defense, and it logs
        telemetry.request_failed(route.operation, error)
        return _problem(Problem(500, "internal_error", "Posthorn failed to process the request."))


def _answer(
    event: APIGatewayProxyEventV2, route: Route, here: Services, path: dict[str, str]
) -> Response[str]:
    headers = {name.lower(): value for name, value in event.headers.items()}
    caller = Caller() if route.scope is None else admit(here, route, route.scope, headers)
    query = event.query_string_parameters or {}
    if route.scope is not None and (unknown := sorted(query.keys() - set(route.query))):
        raise _unknown_parameters(unknown)
    answer = route.handle(
        here,
        Request(
            workspace=caller.workspace,
            operation=route.operation,
            path=path,
            query=query,
            headers=headers,
            body=_body(event),
            scopes=caller.scopes,
            key_valid_until=caller.key_valid_until,
        ),
    )
    if answer.content_type != JSON:
        page: str = answer.content
        return Response(route.status, answer.content_type, page, headers={"content-security-policy": _PAGE})
    return Response(
        status_code=answer.status or route.status,
        content_type=answer.content_type,
        body=json.dumps(answer.content, ensure_ascii=False, separators=(",", ":")),
    )


def _unknown_parameters(names: list[str]) -> Problem:
    """Refuse misspelled filters; ignoring them would look as if everything matched."""
    errors = [FieldError(f"/{name[:64]}", "Unknown query parameter.") for name in names[:20]]
    return Problem(
        400, "unknown_parameter", "The query must only use parameters of this operation.", errors=errors
    )


def _body(event: APIGatewayProxyEventV2) -> bytes:
    body = event.body or ""
    if not event.is_base64_encoded:
        return body.encode(errors="surrogatepass")
    try:
        return base64.b64decode(body, validate=True)
    except binascii.Error as error:
        raise Problem(400, "invalid_json", "The body must be valid Base64.") from error


def _problem(problem: Problem) -> Response[str]:
    return Response(
        status_code=problem.status,
        body=json.dumps(problem.document(), ensure_ascii=False, separators=(",", ":")),
        headers=problem.headers(),
    )
