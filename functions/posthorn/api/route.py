"""A route: what it answers to, which scope it asks for, and what it does, declared in one place."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Callable

    from pydantic import BaseModel

    from posthorn.api.http import Answer, Request
    from posthorn.api.services import Services
    from posthorn.domain.api_key import Scope

PAGED: Final = ("limit", "cursor")
"""What every list takes."""


@dataclass(frozen=True, slots=True)
class Route:
    """One operation of the API."""

    method: str
    path: str  # with `{parameter}`, as OpenAPI writes it
    scope: Scope | None  # None: open to everybody
    handle: Callable[
        [Services, Request], Answer[Any]
    ]  # its name is that of the operation in generated clients
    summary: str
    body: type[BaseModel] | None = None
    is_body_optional: bool = False
    status: int = 200  # when all is well
    query: tuple[str, ...] = ()  # the parameters that it knows; others are refused
    note: str = ""  # what the summary does not say, for the documentation

    @property
    def operation(self) -> str:
        return f"{self.method} {self.path}"
