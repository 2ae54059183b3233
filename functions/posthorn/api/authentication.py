"""Authentication: looks up API keys and caches them for 30 seconds."""

from __future__ import annotations

import hmac
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from posthorn import telemetry
from posthorn.api.problems import Problem, unauthorized
from posthorn.domain.api_key import hash_of, split
from posthorn.domain.errors import Unavailable
from posthorn.domain.ttl_cache import TtlCache

if TYPE_CHECKING:
    from collections.abc import Callable

    from posthorn.domain.api_key import ApiKey, RequiredScope
    from posthorn.stores.api_keys import ApiKeys

REVOCATION_MS: Final = 30_000
"""How long a revoked key may still work in a process that has just cached it."""

USE_NOTED_MS: Final = 3_600_000
"""How far `last_used_at` may lag behind."""

_REMEMBERED: Final = 1000


class Keyring:
    """A cache of the API keys that this process has recently seen."""

    def __init__(self, keys: ApiKeys, *, clock: Callable[[], int]) -> None:
        self._keys = keys
        self._clock = clock
        self._seen: TtlCache[str, ApiKey] = TtlCache(ttl=REVOCATION_MS, size=_REMEMBERED, clock=clock)

    def authenticate(self, authorization: str) -> ApiKey:
        """Return the key in an `Authorization` header; every failure is the same 401."""
        scheme, _, text = authorization.partition(" ")
        parts = split(text.strip()) if scheme.lower() == "bearer" else None
        if parts is None:
            raise unauthorized()
        key_id, secret = parts
        # only keys that exist are remembered: a key works from the moment it is created
        key = self._seen.get_or_load(key_id, lambda: self._keys.get(key_id))
        if (
            key is None
            or not hmac.compare_digest(key.secret_hash, hash_of(secret))
            or not key.is_live(self._clock())
        ):
            raise unauthorized()
        return self._noted(key)

    def forget(self, key_id: str) -> None:
        """Drop a key from the cache, so that its next use looks it up."""
        self._seen.forget(key_id)

    def _noted(self, key: ApiKey) -> ApiKey:
        """Record that a key is in use, at most once an hour; a failed write does not fail the request."""
        now = self._clock()
        since = now - USE_NOTED_MS
        if key.last_used_at is not None and key.last_used_at > since:
            return key
        try:
            self._keys.note_use(key.id, now_ms=now, unless_since=since)
        except Unavailable as error:
            telemetry.call_failed(error)  # retried when the key is looked up again
        used = replace(key, last_used_at=now)
        self._seen.replace(key.id, used)
        return used


def require(key: ApiKey, scope: RequiredScope) -> None:
    """Refuse a key that does not have the scope that a route requires; a platform key has all."""
    if not key.is_platform and scope not in key.scopes:
        raise Problem(403, "insufficient_scope", f"The API key must have the scope `{scope}`.")
