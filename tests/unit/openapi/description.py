"""The API's committed description, and its schemas, closed, to hold values against."""

from __future__ import annotations

import json
from functools import cache
from typing import Any

from jsonschema import Draft202012Validator  # type: ignore[import-untyped]

from infra import openapi
from tests.closed_schemas import closed


@cache
def document() -> dict[str, Any]:
    """Return the committed description; nobody changes what is inside."""
    found: dict[str, Any] = json.loads(openapi.TARGET.read_text("utf-8"))
    return found


def check(value: Any, schema: dict[str, Any]) -> None:
    """Check a value against one of the description's schemas, as JSON would carry it; a field too many is an error."""
    Draft202012Validator(closed({**schema, "components": document()["components"]})).validate(
        json.loads(json.dumps(value))
    )


def component(name: str) -> dict[str, Any]:
    return {"$ref": f"#/components/schemas/{name}"}
