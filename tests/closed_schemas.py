"""The API's description, closed: clients must ignore fields that they do not know, and the tests must not."""

from __future__ import annotations

from typing import Any


def closed(value: Any) -> Any:
    """Return a description whose objects have the fields that it names and no others, unless it says otherwise."""
    match value:
        case dict():
            found = {key: closed(one) for key, one in value.items()}
            if value.get("type") == "object" and "properties" in value:
                found.setdefault("additionalProperties", False)
            return found
        case list():
            return [closed(one) for one in value]
        case _:
            return value
