"""A route: what it answers to, which scope it asks for, and what it does, declared in one place."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

JSON: Final = "application/json"
PAGED: Final = ("limit", "cursor")
"""What every list takes."""
HTML: Final = "text/html; charset=utf-8"

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from pydantic import BaseModel

    from posthorn.api_keys import Scope
    from posthorn.routes.office import Office


@dataclass(frozen=True, slots=True)
class Request:
    """A request whose sender is known; `workspace` comes from the API key and from nowhere else."""

    workspace: str
    operation: str  # method and path template
    path: Mapping[str, str]
    query: Mapping[str, str]
    headers: Mapping[str, str]  # names in lower case
    body: bytes = field(repr=False)
    scopes: frozenset[Scope] = frozenset()  # of the API key

    @property
    def place(self) -> str:
        """Return the operation with what its path names: where an idempotency key counts."""
        return f"{self.operation} {sorted(self.path.items())}"


@dataclass(frozen=True, slots=True)
class Answer:
    """What goes back; `content` is JSON, or the text of a page."""

    content: Any = field(repr=False)
    status: int = 200
    content_type: str = JSON


@dataclass(frozen=True, slots=True)
class Route:
    """One operation of the API."""

    method: str
    path: str  # with `{parameter}`, as OpenAPI writes it
    scope: Scope | None  # None: open to everybody
    handle: Callable[[Office, Request], Answer]
    summary: str
    body: type[BaseModel] | None = None
    is_body_optional: bool = False
    query: tuple[str, ...] = ()  # the parameters that it knows; others are refused
    note: str = ""  # what the summary does not say, for the documentation

    @property
    def operation(self) -> str:
        return f"{self.method} {self.path}"
