"""The few schemas that are written by hand, and references to the others."""

from typing import Any, Final

TIME: Final = {"type": "string", "format": "date-time"}
TEXT: Final = {"type": "string"}


def ref(name: str) -> dict[str, Any]:
    return {"$ref": f"#/components/schemas/{name}"}
