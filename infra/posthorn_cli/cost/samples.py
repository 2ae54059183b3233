"""Realistic payloads: JSON that compresses about as well as customers' data."""

from __future__ import annotations

import json
import random
from typing import Any, Final

_WORDS: Final = [
    "contact",
    "order",
    "invoice",
    "customer",
    "street",
    "plan",
    "renewal",
    "trial",
    "upgrade",
    "seat",
    "monthly",
    "annual",
    "north",
    "south",
    "subject",
    "campaign",
    "segment",
    "welcome",
    "reminder",
    "receipt",
    "shipping",
    "carrier",
    "tracking",
    "address",
    "billing",
    "notes",
]


def payload(size: int, *, seed: int = 0) -> dict[str, Any]:
    """Return a contact with custom fields of words and ids, whose compact JSON has about `size` bytes."""
    random_bytes = random.Random(seed)  # noqa: S311 - the same payload every time
    data: dict[str, Any] = {
        "contact": {
            "id": f"cont_{random_bytes.getrandbits(40):010x}",
            "email": f"{random_bytes.choice(_WORDS)}.{random_bytes.getrandbits(16):04x}@example.com",
            "createdAt": f"2026-11-{random_bytes.randint(1, 28):02d}T{random_bytes.randint(0, 23):02d}:15:00Z",
        }
    }
    fields: list[dict[str, Any]] = []
    length = len(_compact(data)) + len(',"fields":[]')
    while length < size:
        field = {
            "name": f"{random_bytes.choice(_WORDS)}_{random_bytes.choice(_WORDS)}",
            "value": " ".join(random_bytes.choice(_WORDS) for _ in range(random_bytes.randint(2, 6))),
            "updatedBy": f"user_{random_bytes.getrandbits(32):08x}",
        }
        fields.append(field)
        length += len(_compact(field)) + 1
    data["fields"] = fields
    if surplus := max(0, len(_compact(data)) - size):
        last = fields[-1]["value"] if fields else ""
        if surplus < len(last):
            fields[-1]["value"] = last[: len(last) - surplus]
    return data


def _compact(value: Any) -> str:
    return json.dumps(value, separators=(",", ":"))
