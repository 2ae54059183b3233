"""API Gateway's HTTP API as a WSGI application in front of the API's handler, for tools that use HTTP."""

from __future__ import annotations

import base64
from http import HTTPStatus
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, unquote

from tests.template import API_ID

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from tests.installation import Installation


def event_of(method: str, path: str, query: str, headers: Mapping[str, str], body: bytes) -> dict[str, Any]:
    """Return a request in payload format 2.0."""
    event: dict[str, Any] = {
        "version": "2.0",
        "routeKey": "$default",
        "rawPath": path,
        "rawQueryString": query,
        "headers": dict(headers),
        "requestContext": {
            "http": {"method": method, "path": path, "sourceIp": "198.51.100.1"},
            "stage": "$default",
            "apiId": API_ID,
            "requestId": "request",
        },
        # API Gateway sends everything that it does not consider text as base64
        "body": base64.b64encode(body).decode() if body else None,
        "isBase64Encoded": bool(body),
    }
    parameters: dict[str, str] = {}
    for name, value in parse_qsl(query, keep_blank_values=True):
        parameters[name] = f"{parameters[name]},{value}" if name in parameters else value
    if parameters:
        event["queryStringParameters"] = parameters
    return event


def raw_path_of(path: str) -> str:
    """Return a path of a request as `rawPath` has it: every escape is decoded, except for that of the percent sign."""
    return "%25".join(unquote(part) for part in path.split("%25"))


def application(posthorn: Installation) -> Callable[..., Iterable[bytes]]:
    """Return a WSGI application that passes requests on in payload format 2.0."""

    def answer(environ: dict[str, Any], start: Callable[..., Any]) -> Iterable[bytes]:
        length = int(environ.get("CONTENT_LENGTH") or 0)
        body = environ["wsgi.input"].read(length)
        # WSGI passes bytes as Latin-1 strings
        path = environ["PATH_INFO"].encode("latin-1").decode("utf-8", errors="replace")
        headers = {
            name.removeprefix("HTTP_").replace("_", "-").lower(): value
            for name, value in environ.items()
            if name.startswith("HTTP_") or name == "CONTENT_TYPE"
        }
        event = event_of(environ["REQUEST_METHOD"], path, environ.get("QUERY_STRING", ""), headers, body)
        reply = posthorn.resolve(event)
        status = HTTPStatus(reply["statusCode"])
        start(f"{status.value} {status.phrase}", list(reply["headers"].items()))
        return [reply["body"].encode()]

    return answer
