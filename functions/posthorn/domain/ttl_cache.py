"""A cache that is bounded in time and in size."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, overload

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence


class TtlCache[K: Hashable, V]:
    """Values that expire after `ttl`, at most `size` of them: the oldest one makes room. Threads may share it.

    `ttl` has the unit of the clock.
    """

    def __init__(self, *, ttl: float, size: int, clock: Callable[[], float]) -> None:
        self._ttl = ttl
        self._size = size
        self._clock = clock
        self._entries: dict[K, tuple[float, V]] = {}  # the oldest first
        self._lock = threading.Lock()

    def get(self, key: K) -> V | None:
        entry = self._entries.get(key)
        return entry[1] if entry is not None and entry[0] > self._clock() else None

    @overload
    def get_or_load(self, key: K, load: Callable[[], V]) -> V: ...
    @overload
    def get_or_load(self, key: K, load: Callable[[], V | None]) -> V | None: ...
    def get_or_load(self, key: K, load: Callable[[], V | None]) -> V | None:
        """Return the cached value, or load it and cache it. None is not cached.

        The time to live starts before `load` runs: what changes at the source while it runs is stale from then on.
        """
        now = self._clock()
        entry = self._entries.get(key)
        if entry is not None and entry[0] > now:
            return entry[1]
        value = load()
        if value is not None:
            self._put(key, now + self._ttl, value)
        return value

    def get_or_load_many(self, keys: Iterable[K], load: Callable[[Sequence[K]], Mapping[K, V]]) -> dict[K, V]:
        """Return the cached values, and load and cache all others at once; a key without a value is left out."""
        now = self._clock()
        wanted = dict.fromkeys(keys)
        found = {key: entry[1] for key in wanted if (entry := self._entries.get(key)) and entry[0] > now}
        if missing := [key for key in wanted if key not in found]:
            loaded = load(missing)
            for key, value in loaded.items():
                self._put(key, now + self._ttl, value)
            found |= loaded
        return found

    def replace(self, key: K, value: V) -> None:
        """Replace a value without extending its time; do nothing if the key is not cached."""
        with self._lock:
            if (entry := self._entries.get(key)) is not None:
                self._entries[key] = (entry[0], value)

    def forget(self, key: K) -> None:
        with self._lock:
            self._entries.pop(key, None)

    def _put(self, key: K, expires_at: float, value: V) -> None:
        with self._lock:
            self._entries.pop(key, None)
            while len(self._entries) >= self._size:
                del self._entries[next(iter(self._entries))]
            self._entries[key] = (expires_at, value)
