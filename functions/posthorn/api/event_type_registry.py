"""The known event types: the built-in ones and each workspace's own."""

from __future__ import annotations

import json
from functools import lru_cache
from typing import TYPE_CHECKING, Final

from posthorn.domain import matching
from posthorn.domain.errors import RefusedEventType
from posthorn.domain.event_types import built_in
from posthorn.domain.ttl_cache import TtlCache
from posthorn.schemas.schema import compiled

if TYPE_CHECKING:
    from collections.abc import Callable

    from posthorn.domain.event_types import EventType
    from posthorn.schemas.schema import Schema
    from posthorn.stores.event_types import EventTypes

STALE_MS: Final = 30_000
"""How long a process that has cached a type may still publish it after it was deleted."""

_REMEMBERED: Final = 250
_COMPILED: Final = 8  # a hostile schema can take tens of megabytes


class EventTypeRegistry:
    """Finds event types; caches a workspace's own types for 30 seconds."""

    def __init__(self, store: EventTypes, *, clock: Callable[[], int]) -> None:
        self.own = store
        self._seen: TtlCache[tuple[str, str], EventType] = TtlCache(
            ttl=STALE_MS, size=_REMEMBERED, clock=clock
        )
        self._compiled = lru_cache(maxsize=_COMPILED)(_compile)

    def find(self, workspace: str, name: str) -> EventType | None:
        """Return the type with this name, in either spelling; raise `RefusedEventType` if it cannot be a name."""
        name = matching.canonical(name)
        return built_in().get(name) or self._own(workspace, name)

    def published(self, workspace: str, name: str) -> EventType:
        """Return the type of an event to be published, or raise `RefusedEventType`."""
        found = self.find(workspace, name)
        if found is None:
            raise RefusedEventType(f"Unknown event type {name}.", code="unknown_event_type")
        if found.operational:
            detail = f"{found.name} is an operational event: only Posthorn publishes it."
            raise RefusedEventType(detail, code="reserved_event_type")
        return found

    def check_subscribed(self, workspace: str, pattern: str) -> None:
        """Raise `RefusedEventType` for a pattern that matches no event type of this workspace."""
        try:
            matching.check_subscribed(pattern, built_in())
        except RefusedEventType as refusal:
            if refusal.code != "unknown_event_type" or not self._is_own(workspace, pattern):
                raise

    def delete(self, workspace: str, name: str) -> bool:
        """Remove one of a workspace's own types; return false if there was none."""
        self._seen.forget((workspace, name))
        return self.own.delete(workspace, name)

    def schema_of(self, event_type: EventType) -> Schema | None:
        """Return what the data of a type is checked against, None when anything goes."""
        return None if event_type.schema is None else self._compiled(event_type.schema)

    def _is_own(self, workspace: str, pattern: str) -> bool:
        stem, is_prefix = matching.stem_of(pattern)
        name = matching.canonical(stem)
        return self.own.any_below(workspace, name) if is_prefix else self._own(workspace, name) is not None

    def _own(self, workspace: str, name: str) -> EventType | None:
        # only types that exist are remembered: a type works from the moment it is created
        return self._seen.get_or_load((workspace, name), lambda: self.own.get(workspace, name))


def _compile(schema: str) -> Schema:
    return compiled(json.loads(schema))
