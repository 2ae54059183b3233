"""The workspaces that this process has recently seen."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from posthorn.domain.ttl_cache import TtlCache

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from posthorn.domain.workspace import WorkspaceState
    from posthorn.stores.workspaces import Workspaces

STALE_MS: Final = 30_000
"""How long a process that has cached a workspace may still see its old status."""

_REMEMBERED: Final = 5000


class WorkspaceDirectory:
    """Finds workspaces by id or uid; caches their state for 30 seconds."""

    def __init__(self, store: Workspaces, *, clock: Callable[[], int]) -> None:
        self.store = store
        self._seen: TtlCache[str, WorkspaceState] = TtlCache(ttl=STALE_MS, size=_REMEMBERED, clock=clock)

    def find(self, name: str) -> WorkspaceState | None:
        return self.find_many([name]).get(name)

    def find_many(self, names: Iterable[str]) -> dict[str, WorkspaceState]:
        """Return the workspaces that exist, by the id or uid that was given; all that are not cached in one read."""
        # only workspaces that exist are remembered: a workspace works from the moment it is created
        return self._seen.get_or_load_many(names, self._load)

    def _load(self, names: Sequence[str]) -> dict[str, WorkspaceState]:
        """Return them by their ids as well: what a request names by its uid, the rest of the code names by its id.

        A workspace that is being deleted is unknown to every request that would act on it.
        """
        found = {name: one for name, one in self.store.states(names).items() if not one.is_deleting}
        return found | {one.id: one for one in found.values()}

    def forget(self, *names: str) -> None:
        """Drop the names of a workspace from the cache, so that its next use looks it up."""
        for name in names:
            self._seen.forget(name)
