"""Writes functions/posthorn/openapi.json from the routes and their request models: `make openapi`.

OpenAPI 3.1, with a `webhooks` section for those who receive. The file ships; nothing is generated at run time.
"""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from pydantic.json_schema import models_json_schema

from infra.openapi.operations import describe
from infra.openapi.receiving import email_delivery, webhook_delivery
from infra.openapi.schema import ref
from infra.openapi.shapes import ANSWERS
from posthorn.api.routes.events import NewEvents
from posthorn.api.routes.table import ROUTES
from posthorn.domain.email_types import EMAIL_TYPES
from posthorn.domain.event_types import built_in

if TYPE_CHECKING:
    from pydantic import BaseModel

TARGET: Final = Path(__file__).parents[2] / "functions" / "posthorn" / "api" / "openapi.json"


def document() -> dict[str, Any]:
    """Return the whole description as data."""
    paths: dict[str, Any] = {}
    for route in ROUTES:
        paths.setdefault(route.path, {})[route.method.lower()] = describe(route)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Posthorn",
            "version": "0.1.0",
            "description": "Outbound webhooks: register URLs, publish events, and see what became of them.",
        },
        "security": [{"apiKey": []}],
        "paths": paths,
        "webhooks": {
            **{name: {"post": webhook_delivery(name)} for name in built_in()},
            **{f"email.{one.name}": {"post": email_delivery(one)} for one in EMAIL_TYPES},
        },
        "components": {
            "securitySchemes": {
                "apiKey": {"type": "http", "scheme": "bearer", "description": "An API key, `phk_…`."}
            },
            "schemas": {**_request_schemas(), **ANSWERS},
        },
    }


def render() -> str:
    """Return the file's text."""
    return json.dumps(document(), indent=1, ensure_ascii=False) + "\n"


def _request_schemas() -> dict[str, Any]:
    models: list[type[BaseModel]] = [route.body for route in ROUTES if route.body is not None]
    models = [*dict.fromkeys(models), NewEvents]
    _, schemas = models_json_schema(
        [(model, "validation") for model in models], ref_template="#/components/schemas/{model}"
    )
    found: dict[str, Any] = schemas["$defs"]
    # inside a batch, each entry is a NewEvent; the model checks them one by one to point at the culprit
    found["NewEvents"]["properties"]["events"]["items"] = ref("NewEvent")
    for model, schema in found.items():
        if not model.endswith("Change"):
            continue
        for name, field in schema.get("properties", {}).items():
            if name not in schema.get("required", []):
                field.pop("default", None)  # what is absent from a change stays as it is
    return found
