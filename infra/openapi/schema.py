"""The small words that the description's schemas are made of."""

from typing import Any, Final

TIME: Final = {"type": "string", "format": "date-time"}
TEXT: Final = {"type": "string"}
OBJECT: Final = {"type": "object"}
TIME_OR_NULL: Final = {"type": ["string", "null"], "format": "date-time"}
BOOL: Final = {"type": "boolean"}
COUNT: Final = {"type": "integer", "minimum": 0}
TEXTS: Final = {"type": "object", "additionalProperties": TEXT}


def ref(name: str) -> dict[str, Any]:
    return {"$ref": f"#/components/schemas/{name}"}


def object_of(required: dict[str, Any], optional: dict[str, Any] | None = None) -> dict[str, Any]:
    return {
        "type": "object",
        "properties": {**required, **(optional or {})},
        "required": list(required),
        "additionalProperties": False,
    }


def either(*schemas: dict[str, Any]) -> dict[str, Any]:
    return {"oneOf": list(schemas)}
