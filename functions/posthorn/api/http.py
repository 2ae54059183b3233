"""Requests and answers of the API, independent of API Gateway."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

JSON: Final = "application/json"
HTML: Final = "text/html; charset=utf-8"

if TYPE_CHECKING:
    from collections.abc import Mapping

    from posthorn.domain.api_key import Scope


@dataclass(frozen=True, slots=True)
class Request:
    """An authenticated request. `workspace` comes from the API key, or from the header of a platform key.

    It is empty if the request acts on the installation, or on workspaces that its body names.
    """

    workspace: str
    operation: str  # method and path template
    path: Mapping[str, str]
    query: Mapping[str, str]
    headers: Mapping[str, str]  # names in lower case
    body: bytes = field(repr=False)
    scopes: frozenset[Scope] = frozenset()  # of the API key, in this workspace
    key_valid_until: int | None = None  # of the API key, in Unix milliseconds; None if it never expires

    @property
    def place(self) -> str:
        """Return the operation with its path parameters: the scope of an idempotency key."""
        return f"{self.operation} {sorted(self.path.items())}"


@dataclass(frozen=True, slots=True)
class Answer[T]:
    """A response of the API; `content` is a JSON value, or the text of a page."""

    content: T = field(repr=False)
    content_type: str = JSON
    status: int | None = None  # instead of the route's
