"""API Gateway's HTTP API as a WSGI application in front of the API's handler, for tools that speak HTTP."""

from __future__ import annotations

import base64
from http import HTTPStatus
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from tests.installation import Installation


def application(posthorn: Installation) -> Callable[..., Iterable[bytes]]:
    """Return a WSGI application that passes requests on as payload format 2.0 says."""

    def answer(environ: dict[str, Any], start: Callable[..., Any]) -> Iterable[bytes]:
        length = int(environ.get("CONTENT_LENGTH") or 0)
        body = environ["wsgi.input"].read(length)
        # WSGI hands over bytes in the disguise of Latin-1
        path = environ["PATH_INFO"].encode("latin-1").decode("utf-8", errors="replace")
        headers = {
            name.removeprefix("HTTP_").replace("_", "-").lower(): value
            for name, value in environ.items()
            if name.startswith("HTTP_") or name == "CONTENT_TYPE"
        }
        query: dict[str, str] = {}
        for name, value in parse_qsl(environ.get("QUERY_STRING", ""), keep_blank_values=True):
            query[name] = f"{query[name]},{value}" if name in query else value  # as API Gateway joins them
        event: dict[str, Any] = {
            "version": "2.0",
            "routeKey": "$default",
            "rawPath": path,
            "rawQueryString": environ.get("QUERY_STRING", ""),
            "headers": headers,
            "requestContext": {
                "http": {"method": environ["REQUEST_METHOD"], "path": path, "sourceIp": "198.51.100.1"},
                "stage": "$default",
                "requestId": "request",
            },
            "body": base64.b64encode(body).decode() if body else None,
            "isBase64Encoded": bool(body),
        }
        if query:
            event["queryStringParameters"] = query
        reply = posthorn.resolve(event)
        status = HTTPStatus(reply["statusCode"])
        start(f"{status.value} {status.phrase}", list(reply["headers"].items()))
        return [reply["body"].encode()]

    return answer
