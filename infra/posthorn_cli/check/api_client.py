"""Calls the API over HTTP, as a customer does."""

from __future__ import annotations

import http.client
import json
import socket
import ssl
import urllib.error
import urllib.request
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import urlsplit

TIMEOUT_SECONDS: Final = 35  # the HTTP API gives up after 30
_LARGEST: Final = 1_000_000  # bytes of an answer


class Unreachable(Exception):
    """The API did not answer; the text completes the sentence "The API …"."""


@dataclass(frozen=True, slots=True)
class ApiAnswer:
    """An answer of the API; `body` is empty if it is no JSON object."""

    status: int
    body: dict[str, Any]

    @property
    def detail(self) -> str:
        """What a problem says about itself, or nothing."""
        details = [one["detail"] for one in self.body.get("errors") or [] if "detail" in one]
        return " ".join(details or [str(self.body.get("detail", ""))])[:300]


class _NoRedirects(urllib.request.HTTPRedirectHandler):
    """Answers a redirect as it is: another host must not get the key."""

    def redirect_request(self, *_: Any) -> None:
        return None


def call(method: str, url: str, *, key: str | None = None, body: Any = None) -> ApiAnswer:
    """Make a request; raise `Unreachable` if there is no answer."""
    headers = {"Content-Type": "application/json", "User-Agent": "posthorn-check"}
    if key is not None:
        headers["Authorization"] = f"Bearer {key}"
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(url, data=data, headers=headers, method=method)
    try:
        with urllib.request.build_opener(_NoRedirects).open(request, timeout=TIMEOUT_SECONDS) as answer:
            return ApiAnswer(answer.status, _object(answer.read(_LARGEST)))
    except urllib.error.HTTPError as error:
        with error:
            return ApiAnswer(error.code, _object(error.read(_LARGEST)))
    except (OSError, http.client.HTTPException) as error:
        cause = error.reason if isinstance(error, urllib.error.URLError) else error
        raise Unreachable(_why(cause, urlsplit(url).hostname or "")) from error


def _why(cause: BaseException | str, host: str) -> str:
    match cause:
        case ssl.SSLError():
            return f"has no certificate that this machine trusts ({host})"
        case socket.gaierror():
            return f"has no DNS record ({host})"
        case TimeoutError():
            return f"did not answer within {TIMEOUT_SECONDS} seconds ({host})"
        case ConnectionRefusedError():
            return f"refused the connection ({host})"
    return f"cannot be reached ({host})"


def _object(raw: bytes) -> dict[str, Any]:
    try:
        found = json.loads(raw)
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}
