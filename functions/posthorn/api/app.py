"""The HTTP API: requests of API Gateway in, answers out, every error as a problem document."""

from __future__ import annotations

import base64
import binascii
import json
import traceback
from typing import TYPE_CHECKING, Final

from aws_lambda_powertools.event_handler import APIGatewayHttpResolver, Response

from posthorn.api.authentication import require
from posthorn.api.http import JSON, Request
from posthorn.api.problems import FieldError, Problem, method_not_allowed, not_found
from posthorn.domain.api_key import Scope
from posthorn.domain.errors import Malformed, Unavailable
from posthorn.telemetry import log

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from aws_lambda_powertools.utilities.data_classes import APIGatewayProxyEventV2

    from posthorn.api.route import Route
    from posthorn.api.services import Services

# a page is text and its style; whatever else were in it would not run
_PAGE: Final = "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'"

_METHODS: Final = ("DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT")
_ALWAYS: Final = {
    "x-content-type-options": "nosniff",
    "strict-transport-security": "max-age=63072000",  # two years, in seconds
}


def build(routes: Iterable[Route], find_services: Callable[[], Services]) -> APIGatewayHttpResolver:
    """Make the resolver of all routes; the office is asked for only when a request needs it."""
    app = APIGatewayHttpResolver()
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
        response = _answer_or_problem(app.current_event, route, find_services, path)
        if route.scope is not None:  # what a key may see is nobody else's to keep, and some of it is secret
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
    except Unavailable as error:
        log().error("an AWS call failed", extra={"operation": error.operation, "code": error.code})
        return _problem(
            Problem(503, "unavailable", "This did not work out right now. Try again.", retry_after=1)
        )
    except Malformed as error:
        log().error("a row cannot be read", extra={"operation": route.operation, "reason": str(error)})
        return _problem(
            Problem(
                503,
                "unreadable",
                "A newer version of Posthorn wrote this. Try again when all of it is up to date.",
                retry_after=60,
            )
        )
    except Exception as error:  # noqa: BLE001 - the last line of defence, and it logs
        _log_unexpected(error)
        return _problem(Problem(500, "internal_error", "Something went wrong on our side."))


def _answer(
    event: APIGatewayProxyEventV2, route: Route, here: Services, path: dict[str, str]
) -> Response[str]:
    headers = {name.lower(): value for name, value in event.headers.items()}
    workspace, scopes = "", frozenset[Scope]()
    if route.scope is not None:
        key = here.keyring.authenticate(headers.get("authorization", ""))
        require(key, route.scope)
        workspace, scopes = key.workspace, key.scopes
    query = event.query_string_parameters or {}
    if route.scope is not None and (unknown := sorted(query.keys() - set(route.query))):
        raise _unknown_parameters(unknown)
    answer = route.handle(
        here, Request(workspace, route.operation, path, query, headers, _body(event), scopes)
    )
    if answer.content_type != JSON:
        page: str = answer.content
        return Response(answer.status, answer.content_type, page, headers={"content-security-policy": _PAGE})
    return Response(
        status_code=answer.status,
        content_type=answer.content_type,
        body=json.dumps(answer.content, ensure_ascii=False, separators=(",", ":")),
    )


def _unknown_parameters(names: list[str]) -> Problem:
    """Refuse a filter that is misspelt, which would otherwise look as if everything matched."""
    errors = [FieldError(f"/{name[:64]}", "There is no such query parameter here.") for name in names[:20]]
    return Problem(
        400, "unknown_parameter", "The query has parameters that this does not take.", errors=errors
    )


def _log_unexpected(error: Exception) -> None:
    # the text of an exception may hold what a customer sent; its type and place do not
    places = [f"{frame.filename}:{frame.lineno}" for frame in traceback.extract_tb(error.__traceback__)]
    log().error("unexpected", extra={"exception_name": type(error).__name__, "places": places[-5:]})


def _body(event: APIGatewayProxyEventV2) -> bytes:
    body = event.body or ""
    if not event.is_base64_encoded:
        return body.encode(errors="surrogatepass")
    try:
        return base64.b64decode(body, validate=True)
    except binascii.Error as error:
        raise Problem(400, "invalid_json", "The body is not what its encoding says.") from error


def _problem(problem: Problem) -> Response[str]:
    return Response(
        status_code=problem.status,
        body=json.dumps(problem.document(), ensure_ascii=False, separators=(",", ":")),
        headers=problem.headers(),
    )
