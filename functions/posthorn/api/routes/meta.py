"""`/health`, `/openapi.json` and `/docs`: the API's health and description."""

from __future__ import annotations

import json
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from posthorn.api.http import HTML, Answer, Request
from posthorn.api.route import Route

if TYPE_CHECKING:
    from posthorn.api.answers.meta import ServiceHealth
    from posthorn.api.services import Services


def check_health(services: Services, request: Request) -> Answer[ServiceHealth]:  # noqa: ARG001 - the shape of a route
    return Answer({"status": "ok"})


def describe_api(services: Services, request: Request) -> Answer[dict[str, Any]]:  # noqa: ARG001 - the shape of a route
    return Answer(_document())


@lru_cache(maxsize=1)
def _document() -> dict[str, Any]:
    path = Path(__file__).parent.parent / "openapi.json"
    document: dict[str, Any] = json.loads(path.read_text("utf-8"))
    return document


def show_docs(services: Services, request: Request) -> Answer[str]:  # noqa: ARG001 - the shape of a route
    return Answer(_page(), content_type=HTML)


@lru_cache(maxsize=1)
def _page() -> str:
    return Path(__file__).parent.parent.joinpath("reference.html").read_text("utf-8")


ROUTES: Final = (
    Route("GET", "/health", None, check_health, "Check whether the API is up"),
    Route("GET", "/openapi.json", None, describe_api, "Retrieve the OpenAPI document"),
    Route("GET", "/docs", None, show_docs, "Show the API reference"),
)
