"""The API's description as a document: it is what the code says, valid OpenAPI, and whole."""

from __future__ import annotations

import re
from collections import Counter
from typing import TYPE_CHECKING, Any, Final

from jsonschema import Draft202012Validator  # type: ignore[import-untyped]

from infra import openapi
from tests.unit.openapi.description import document

if TYPE_CHECKING:
    from collections.abc import Iterator

# OpenAPI 3.1.1, section 4.8, as far as this description uses it; nothing else may appear in it.
_TEXT: Final = {"type": "string", "minLength": 1}
_NAME: Final = r"^[A-Za-z0-9._-]+$"


def _object(required: dict[str, Any], optional: dict[str, Any] | None = None) -> dict[str, Any]:
    return {
        "type": "object",
        "properties": {**required, **(optional or {})},
        "required": list(required),
        "additionalProperties": False,
    }


def _map(values: dict[str, Any], *, keys: str = "") -> dict[str, Any]:
    return {"type": "object", "additionalProperties": values, "propertyNames": {"pattern": keys}}


_MEDIA: Final = _map(
    _object(
        {"schema": {"$ref": "https://json-schema.org/draft/2020-12/schema"}},
        {"examples": _map(_object({"value": True}))},
    ),
    keys=r"^[a-z]+/[a-z+]+$",
)
_SECURITY: Final = {"type": "array", "items": _map({"type": "array", "items": _TEXT})}
_PARAMETER: Final = {
    **_object(
        {
            "name": _TEXT,
            "in": {"enum": ["query", "header", "path", "cookie"]},
            "schema": {"$ref": "https://json-schema.org/draft/2020-12/schema"},
        },
        {"required": {"type": "boolean"}, "description": _TEXT},
    ),
    "if": {"properties": {"in": {"const": "path"}}},
    "then": {"required": ["required"], "properties": {"required": {"const": True}}},
}
_OPERATION: Final = _object(
    {
        "operationId": {"type": "string", "pattern": r"^[A-Za-z_]\w*$"},
        "summary": _TEXT,
        "parameters": {"type": "array", "items": _PARAMETER},
        "responses": {
            **_map(_object({"description": _TEXT}, {"content": _MEDIA}), keys=r"^([1-5][0-9X]{2}|default)$"),
            "minProperties": 1,
        },
    },
    {
        "description": _TEXT,
        "requestBody": _object({"content": _MEDIA}, {"required": {"type": "boolean"}}),
        "security": _SECURITY,
    },
)
_PATH_ITEM: Final = _object({}, dict.fromkeys(("get", "put", "post", "delete", "patch"), _OPERATION))
OPENAPI: Final = _object(
    {
        "openapi": {"type": "string", "pattern": r"^3\.1\.\d+$"},
        "info": _object({"title": _TEXT, "version": _TEXT}, {"description": _TEXT}),
        "paths": _map(_PATH_ITEM, keys="^/"),
        "components": _object(
            {},
            {
                "schemas": _map({"$ref": "https://json-schema.org/draft/2020-12/schema"}, keys=_NAME),
                "securitySchemes": _map(
                    _object({"type": {"const": "http"}, "scheme": _TEXT}, {"description": _TEXT}), keys=_NAME
                ),
            },
        ),
    },
    {"webhooks": _map(_PATH_ITEM), "security": _SECURITY},
)


def operations() -> Iterator[tuple[str, dict[str, Any]]]:
    """Return every operation, those of receivers included, by what it is called on."""
    for place in ("paths", "webhooks"):
        for name, item in document()[place].items():
            for method, operation in item.items():
                yield f"{method.upper()} {name}", operation


def nodes(value: Any) -> Iterator[Any]:
    yield value
    for child in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        yield from nodes(child)


def references() -> set[str]:
    return {node["$ref"] for node in nodes(document()) if isinstance(node, dict) and "$ref" in node}


def test_the_committed_description_is_what_the_code_says() -> None:
    """Nobody changes a route or a model without its description: `make openapi` writes it."""
    assert openapi.TARGET.read_text("utf-8") == openapi.render()


def test_the_description_is_openapi_3_1() -> None:
    """It has the structure that the specification gives it, and every schema in it is JSON Schema 2020-12."""
    Draft202012Validator.check_schema(OPENAPI)
    Draft202012Validator(OPENAPI).validate(document())


def test_every_reference_leads_somewhere() -> None:
    """No `$ref` dangles."""
    schemas = {f"#/components/schemas/{name}" for name in document()["components"]["schemas"]}
    assert references() <= schemas


def test_every_schema_is_used() -> None:
    """Nothing is described that is not part of a request or an answer."""
    schemas = {f"#/components/schemas/{name}" for name in document()["components"]["schemas"]}
    assert schemas <= references()


def test_operation_ids_are_unique() -> None:
    """Client generators make functions of them."""
    found = Counter(operation["operationId"] for _, operation in operations())
    assert [name for name, times in found.items() if times > 1] == []


def test_every_path_parameter_is_declared_once() -> None:
    """What stands in braces is described, and only that."""
    for where, operation in operations():
        declared = Counter(one["name"] for one in operation["parameters"] if one["in"] == "path")
        assert declared == Counter(re.findall(r"{(\w+)}", where)), where


def test_every_security_requirement_names_a_scheme() -> None:
    """An operation that needs a key says so in a way that tools understand."""
    schemes = set(document()["components"]["securitySchemes"])
    needed = [
        *document()["security"],
        *(one for _, found in operations() for one in found.get("security", [])),
    ]
    assert {name for one in needed for name in one} <= schemes


def test_every_object_of_an_answer_is_closed_and_complete() -> None:
    """Each required field is described, so that generated clients can rely on it."""
    for node in nodes(document()):
        if isinstance(node, dict) and node.get("type") == "object" and "required" in node:
            assert set(node["required"]) <= set(node["properties"])
