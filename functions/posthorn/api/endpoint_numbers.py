"""How many endpoints the workspaces have that this process has recently published batches for."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from posthorn.domain.ttl_cache import TtlCache

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from posthorn.stores.endpoint_counts import EndpointCounts

STALE_MS: Final = 30_000
"""How long a process may still work with an old number of endpoints."""

_REMEMBERED: Final = 5000


class EndpointNumbers:
    """Looks up numbers of endpoints; caches them for 30 seconds."""

    def __init__(self, counts: EndpointCounts, *, clock: Callable[[], int]) -> None:
        self._counts = counts
        self._seen: TtlCache[str, int] = TtlCache(ttl=STALE_MS, size=_REMEMBERED, clock=clock)

    def of(self, workspaces: Iterable[str]) -> dict[str, int]:
        """Return the number of each workspace, with all that are not cached in one read."""
        return self._seen.get_or_load_many(workspaces, self._counts.numbers)
