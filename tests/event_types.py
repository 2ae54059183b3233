"""Event types that tests create and publish."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tests.installation import Installation, Reply

PATH = "/v1/event-types"
SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": {"order": {"type": "object", "properties": {"total": {"type": "integer"}}}},
    "required": ["order"],
}
ORDER: dict[str, Any] = {
    "name": "ORDER_PAID",
    "description": "An order was paid",
    "example": {"order": {"id": "ord_1", "total": 1200}},
    "schema": SCHEMA,
}


def create(posthorn: Installation, *, key: str | None = None, once: str = "", **fields: Any) -> Reply:
    headers = {"idempotency-key": once} if once else {}
    return posthorn.call("POST", PATH, {**ORDER, **fields}, key=key, headers=headers)


def publish(posthorn: Installation, event: str, data: Any) -> Reply:
    return posthorn.call("POST", "/v1/events", {"event": event, "data": data})
