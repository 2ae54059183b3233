"""How an API key looks to those who read its record."""

from __future__ import annotations

from typing import TYPE_CHECKING

from posthorn.domain.clock import rfc3339

if TYPE_CHECKING:
    from posthorn.api.answers.api_keys import ApiKeyWithText
    from posthorn.domain.api_key import ApiKey


def api_key(key: ApiKey, now_ms: int) -> ApiKeyWithText:
    return {
        "id": key.id,
        "name": key.name,
        "scopes": sorted(key.scopes),
        "state": key.state(now_ms),
        "createdAt": rfc3339(key.created_at),
        "expiresAt": _time(key.valid_until),
        "lastUsedAt": _time(key.last_used_at),
        "revokedAt": _time(key.revoked_at),
    }


def _time(timestamp_ms: int | None) -> str | None:
    return None if timestamp_ms is None else rfc3339(timestamp_ms)
