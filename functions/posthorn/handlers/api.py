"""ApiFunction: handles HTTP API requests."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Any

from posthorn.api import app, bodies
from posthorn.api.routes.table import ROUTES
from posthorn.schemas.schema import compiled
from posthorn.settings import api_settings, is_for_snapshot, is_in_lambda
from posthorn.telemetry import log
from posthorn.wiring.api import open_services

if TYPE_CHECKING:
    from aws_lambda_powertools.event_handler import APIGatewayHttpResolver

    from posthorn.api.services import Services


@lru_cache(maxsize=1)
def services() -> Services:
    return open_services(api_settings())


@lru_cache(maxsize=1)
def _app() -> APIGatewayHttpResolver:
    return app.build(ROUTES, services)


def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """Handle one request in API Gateway's payload format 2.0."""
    return _app().resolve(event, context)


if is_in_lambda():  # initialization has more CPU (decision 0021)
    log()
    _app()
    services()
    if is_for_snapshot():  # no request waits for a snapshot, so it can include what few requests need
        _ = services().email, services().event_types.built_in
        bodies.build_all()
        compiled({})  # loads jsonschema_rs
