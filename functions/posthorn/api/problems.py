"""Errors as API callers see them: RFC 9457 problem details with a stable `code`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Sequence

    from posthorn.api.answers import problems as answers

CONTENT_TYPE: Final = "application/problem+json"

_TITLES: Final = {
    400: "Bad request",
    401: "Unauthorized",
    403: "Forbidden",
    404: "Not found",
    405: "Method not allowed",
    409: "Conflict",
    413: "Content too large",
    415: "Unsupported media type",
    422: "Invalid input",
    429: "Too many requests",
    500: "Internal error",
    503: "Service unavailable",
}


@dataclass(frozen=True, slots=True)
class FieldError:
    """One error in the input; `pointer` is a JSON pointer (RFC 6901)."""

    pointer: str
    detail: str


class Problem(Exception):
    """An error answer, raised wherever the error is noticed."""

    def __init__(
        self,
        status: int,
        code: str,
        detail: str,
        *,
        errors: Sequence[FieldError] = (),
        retry_after: int | None = None,
        allow: Sequence[str] = (),
    ) -> None:
        super().__init__(code)
        self.status = status
        self.code = code
        self.detail = detail
        self.errors = tuple(errors)
        self.retry_after = retry_after
        self.allow = tuple(allow)

    def document(self) -> answers.Problem:
        document: answers.Problem = {
            "type": "about:blank",  # RFC 9457, 4.2.1: the title is that of the HTTP status
            "title": _TITLES[self.status],
            "status": self.status,
            "detail": self.detail,
            "code": self.code,
        }
        if self.errors:
            document["errors"] = [{"pointer": error.pointer, "detail": error.detail} for error in self.errors]
        return document

    def headers(self) -> dict[str, str]:
        headers = {"content-type": CONTENT_TYPE}
        if self.status == 401:
            headers["www-authenticate"] = "Bearer"
        if self.retry_after is not None:
            headers["retry-after"] = str(self.retry_after)
        if self.allow:
            headers["allow"] = ", ".join(self.allow)
        return headers


def unauthorized() -> Problem:
    """Return the only 401: it does not reveal whether a key is missing, wrong or revoked."""
    return Problem(401, "unauthorized", "Send a valid API key as `Authorization: Bearer <key>`.")


def not_found(what: str = "resource") -> Problem:
    """Return the only 404: it does not reveal whether something exists in another workspace."""
    return Problem(404, "not_found", f"No such {what}.")


def method_not_allowed(allowed: Sequence[str]) -> Problem:
    names = ", ".join(allowed)
    return Problem(405, "method_not_allowed", f"The method must be one of {names}.", allow=allowed)


def invalid(errors: Sequence[FieldError], code: str = "invalid_input") -> Problem:
    return Problem(422, code, "The request must be valid: see `errors`.", errors=errors)
