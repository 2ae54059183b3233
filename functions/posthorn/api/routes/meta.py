"""`/health`, `/openapi.json` and `/docs`: the API's health and description."""

from __future__ import annotations

import json
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from posthorn.api.http import HTML, Answer, Request
from posthorn.api.route import Route

if TYPE_CHECKING:
    from posthorn.api.services import Services


def health(services: Services, request: Request) -> Answer:  # noqa: ARG001 - the shape of a route
    return Answer({"status": "ok"})


def openapi(services: Services, request: Request) -> Answer:  # noqa: ARG001 - the shape of a route
    return Answer(_document())


@lru_cache(maxsize=1)
def _document() -> Any:
    return json.loads(Path(__file__).parent.parent.joinpath("openapi.json").read_text("utf-8"))


def reference(services: Services, request: Request) -> Answer:  # noqa: ARG001 - the shape of a route
    return Answer(_page(), content_type=HTML)


@lru_cache(maxsize=1)
def _page() -> str:
    return Path(__file__).parent.parent.joinpath("reference.html").read_text("utf-8")


ROUTES: Final = (
    Route("GET", "/health", None, health, "Check whether the API is up"),
    Route("GET", "/openapi.json", None, openapi, "Retrieve the OpenAPI document"),
    Route("GET", "/docs", None, reference, "Show the API reference"),
)
