"""A route: its method and path, the scope it requires and its handler, declared in one place."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Callable

    from pydantic import BaseModel

    from posthorn.api.http import Answer, Request
    from posthorn.api.services import Services
    from posthorn.domain.api_key import RequiredScope

PAGED: Final = ("limit", "cursor")
"""The query parameters of every list."""


@dataclass(frozen=True, slots=True)
class Route:
    """One operation of the API."""

    method: str
    path: str  # with `{parameter}`, as OpenAPI writes it
    scope: RequiredScope | None  # None: no API key needed
    handle: Callable[
        [Services, Request], Answer[Any]
    ]  # its name is that of the operation in generated clients
    summary: str
    body: type[BaseModel] | None = None
    is_body_optional: bool = False
    status: int = 200  # of a success
    is_upsert: bool = False  # answers 201 if it created the resource
    is_rate_limited: bool = False  # by limits of the workspace
    needs_active_workspace: bool = False  # refused while the workspace is suspended
    may_name_workspaces: bool = (
        False  # the body of a platform key's request may name them instead of the header
    )
    may_span_workspaces: bool = False  # a platform key may leave out the header, to act on all of them
    query: tuple[str, ...] = ()  # the accepted parameters; others are refused
    note: str = ""  # details for the documentation
    has_slashes: bool = False  # its last path parameter, with which the path ends, may contain slashes

    @property
    def operation(self) -> str:
        return f"{self.method} {self.path}"
