"""The API's description as a document: it is what the code says, valid OpenAPI, and whole."""

from __future__ import annotations

import re
from collections import Counter
from typing import TYPE_CHECKING, Any, Final

from jsonschema import Draft202012Validator  # type: ignore[import-untyped]

from infra import openapi
from posthorn.api.routes.table import ROUTES
from posthorn.domain.api_key import Scope
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
        {"example": True, "examples": _map(_object({"value": True}, {"summary": _TEXT}))},
    ),
    keys=r"^[a-z]+/[a-z+]+$",
)
_HEADERS: Final = _map(
    _object({"schema": {"$ref": "https://json-schema.org/draft/2020-12/schema"}}, {"description": _TEXT})
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
        "operationId": {"type": "string", "pattern": r"^[a-z]+(_[a-z]+)*$"},
        "summary": _TEXT,
        "description": _TEXT,
        "tags": {"type": "array", "items": _TEXT, "minItems": 1, "maxItems": 1},
        "parameters": {"type": "array", "items": _PARAMETER},
        "responses": {
            **_map(
                _object({"description": _TEXT}, {"content": _MEDIA, "headers": _HEADERS}),
                keys=r"^([1-5][0-9X]{2}|default)$",
            ),
            "minProperties": 1,
        },
    },
    {
        "requestBody": _object({"content": _MEDIA}, {"required": {"type": "boolean"}}),
        "security": _SECURITY,
    },
)
_PATH_ITEM: Final = _object({}, dict.fromkeys(("get", "put", "post", "delete", "patch"), _OPERATION))
OPENAPI: Final = _object(
    {
        "openapi": {"type": "string", "pattern": r"^3\.1\.\d+$"},
        "info": _object(
            {"title": _TEXT, "version": _TEXT, "description": _TEXT},
            {"license": _object({"name": _TEXT, "identifier": _TEXT})},
        ),
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
    {
        "webhooks": _map(_PATH_ITEM),
        "security": _SECURITY,
        "servers": {"type": "array", "items": _object({"url": _TEXT}, {"description": _TEXT})},
        "tags": {"type": "array", "items": _object({"name": _TEXT, "description": _TEXT})},
    },
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


def test_every_required_field_is_described() -> None:
    """Generated clients can rely on what is required."""
    for node in nodes(document()["components"]["schemas"]):
        if isinstance(node, dict) and node.get("type") == "object" and "properties" in node:
            assert set(node.get("required", [])) <= set(node["properties"])


def test_every_field_and_every_parameter_has_a_description() -> None:
    """A field says what it means, or the component that it refers to does."""
    components = document()["components"]["schemas"]
    fields = {
        f"{name}.{field}": schema
        for name, component in components.items()
        for field, schema in component.get("properties", {}).items()
    }
    assert len(fields) > 200
    parameters = {
        f"{where} {one['name']}": one for where, operation in operations() for one in operation["parameters"]
    }
    silent = [
        where
        for where, schema in (fields | parameters).items()
        if not (schema.get("description") or components[schema["$ref"].rpartition("/")[2]].get("description"))
    ]
    assert silent == []


def test_answers_may_get_new_fields() -> None:
    """Only what is sent to the API is closed: a client must go on working when an answer has a field more."""
    components = document()["components"]["schemas"]
    closed = {name for name, schema in components.items() if schema.get("additionalProperties") is False}
    requests = {route.body.__name__ for route in ROUTES if route.body is not None}
    assert closed == requests | {"NewEvents", "LimitChange"}
    inner = [
        node
        for component in components.values()
        for field in component.get("properties", {}).values()
        for node in nodes(field)
    ]
    assert [one for one in inner if isinstance(one, dict) and one.get("additionalProperties") is False] == []


def test_nothing_optional_can_only_be_true() -> None:
    """A field that is true or absent is a boolean: clients have no use for a type with one value."""
    assert [
        f"{name}.{field}"
        for name, schema in document()["components"]["schemas"].items()
        for field, value in schema.get("properties", {}).items()
        if value.get("const") is True and field not in schema["required"]
    ] == []


def test_every_operation_has_a_tag_that_is_explained() -> None:
    """Each group is declared with a description, in the order of the documentation, and none is empty."""
    declared = [tag["name"] for tag in document()["tags"]]
    used = {tag for _, operation in operations() for tag in operation["tags"]}
    assert set(declared) == used
    assert len(declared) == len(used)


def test_addresses_are_those_of_the_installation() -> None:
    """The description names no host: it comes from the API that it describes."""
    assert [server["url"] for server in document()["servers"]] == ["/"]


def test_it_is_explained_how_to_get_a_key_and_what_each_scope_is_for() -> None:
    """Whoever reads only this document can make the first call."""
    told = document()["info"]["description"]
    assert "posthorn keys create" in told
    assert "Authorization: Bearer" in told
    assert [scope for scope in Scope if f"`{scope}`" not in told] == []
