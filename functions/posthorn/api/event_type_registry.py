"""The known event types: the built-in ones and each workspace's own."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Final

from posthorn.domain import matching
from posthorn.domain.errors import RefusedEventType
from posthorn.domain.event_types import built_in
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
        self._clock = clock
        self._seen: dict[tuple[str, str], tuple[int, EventType]] = {}
        self._schemas: dict[str, Schema] = {}

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
        self._seen.pop((workspace, name), None)
        return self.own.delete(workspace, name)

    def schema_of(self, event_type: EventType) -> Schema | None:
        """Return the schema that a type's data must match, None if it has none."""
        text = event_type.schema
        if text is None:
            return None
        if text not in self._schemas:
            schema = compiled(json.loads(text))
            while len(self._schemas) >= _COMPILED:
                self._schemas.pop(next(iter(self._schemas)), None)
            self._schemas[text] = schema
        return self._schemas[text]

    def _is_own(self, workspace: str, pattern: str) -> bool:
        stem, is_prefix = matching.stem_of(pattern)
        name = matching.canonical(stem)
        return self.own.any_below(workspace, name) if is_prefix else self._own(workspace, name) is not None

    def _own(self, workspace: str, name: str) -> EventType | None:
        now = self._clock()
        seen = self._seen.get((workspace, name))
        if seen is not None and seen[0] > now:
            return seen[1]
        found = self.own.get(workspace, name)
        if found is None:
            return None  # not cached: a new type must work at once
        while len(self._seen) >= _REMEMBERED:
            self._seen.pop(next(iter(self._seen)), None)
        self._seen[workspace, name] = (now + STALE_MS, found)
        return found
