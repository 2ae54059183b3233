"""The known event types: the built-in ones, those of the platform and each workspace's own.

Of types with one name, the built-in one decides, then the platform's.
"""

from __future__ import annotations

import json
from functools import lru_cache
from typing import TYPE_CHECKING, Final

from posthorn.domain import email_types, matching
from posthorn.domain.api_key import PLATFORM
from posthorn.domain.errors import RefusedEventType
from posthorn.domain.event_types import built_in
from posthorn.domain.ttl_cache import TtlCache
from posthorn.schemas.schema import compiled

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from posthorn.domain.event_types import EventType
    from posthorn.schemas.schema import Schema
    from posthorn.stores.event_types import EventTypes

STALE_MS: Final = 30_000
"""How long a process that has cached a type may still publish it after it was deleted."""

HOW_TO_ADD: Final = (
    "Event types are created with POST /v1/event-types, by a key with the scope `admin`, and for all workspaces with"
    " PUT /v1/event-types/{name}, by a platform key."
)

_OPERATIONAL: Final = ("WEBHOOK_*", "webhook.*")
_RESERVED: Final = "reserved_event_type"
_UNKNOWN: Final = "unknown_event_type"
_REMEMBERED: Final = 250
_COMPILED: Final = 8  # a hostile schema can take tens of megabytes


class EventTypeRegistry:
    """Finds event types; caches types that are not built in for 30 seconds."""

    def __init__(self, store: EventTypes, *, has_catalog: bool, clock: Callable[[], int]) -> None:
        self.store = store
        self._has_catalog = has_catalog
        self._seen: TtlCache[tuple[str, str], EventType] = TtlCache(
            ttl=STALE_MS, size=_REMEMBERED, clock=clock
        )
        self._compiled = lru_cache(maxsize=_COMPILED)(_compile)

    @property
    def built_in(self) -> Mapping[str, EventType]:
        """The built-in types of this installation by their canonical name; read when they are first needed."""
        return built_in(only_operational=not self._has_catalog)

    def find(self, workspace: str, name: str) -> EventType | None:
        """Return the type with this name, in either spelling; raise `RefusedEventType` if it cannot be a name."""
        name = matching.canonical(name)
        return self.built_in.get(name) or self._stored(workspace, name)

    def look_up(self, wanted: Iterable[tuple[str, str]]) -> None:
        """Cache the types of many events, by workspace and name, with all that are not cached in one read."""
        places: dict[tuple[str, str], None] = {}
        for workspace, text in wanted:
            try:
                name = matching.canonical(text)
            except RefusedEventType:
                continue  # refused when the event itself is checked
            pair = (PLATFORM, name), (workspace, name)
            if name not in self.built_in and not any(map(self._seen.get, pair)):
                places.update(dict.fromkeys(pair))
        if places:
            self._seen.get_or_load_many(places, self._load)

    def published(self, workspace: str, name: str) -> EventType:
        """Return the type of an event to be published, or raise `RefusedEventType`."""
        found = self.find(workspace, name)
        if found is None:
            raise RefusedEventType(f"Unknown event type {name}. {HOW_TO_ADD}", code=_UNKNOWN)
        if found.operational:
            detail = f"{found.name} is an operational event: only Posthorn publishes it."
            raise RefusedEventType(detail, code=_RESERVED)
        return found

    def creatable(self, text: str) -> str:
        """Return the canonical name of a type that may be created, or raise `RefusedEventType`."""
        name = matching.canonical(text)
        if name in self.built_in:
            detail = f"Must not be a built-in event type: {name} can already be published."
        elif name in email_types.NAMES:
            detail = f"Must not be an email event type: {name} is for event destinations."
        elif matching.matches(_OPERATIONAL, name):
            detail = (
                "Must not begin with WEBHOOK_ or webhook.: such names are for operational events of Posthorn."
            )
        else:
            return name
        raise RefusedEventType(detail, code=_RESERVED)

    def check_subscribed(self, workspace: str, pattern: str) -> None:
        """Raise `RefusedEventType` for a pattern that matches no event type of this workspace."""
        try:
            matching.check_subscribed(pattern, self.built_in)
        except RefusedEventType as refusal:
            if refusal.code != _UNKNOWN:
                raise
            if not self._is_stored(workspace, pattern):
                raise RefusedEventType(f"{refusal.detail} {HOW_TO_ADD}", code=_UNKNOWN) from refusal

    def first_subscribed(self, workspace: str, patterns: Sequence[str]) -> str | None:
        """Return the first type that is subscribed to by name, else the first that matches, operational ones last."""
        parsed = [(pattern, *matching.parsed(pattern)) for pattern in patterns]
        for pattern, name, is_prefix in parsed:
            if not is_prefix and self.find(workspace, name) is not None:
                return pattern
        matching_built_in = [one for one in self.built_in.values() if matching.matches(patterns, one.name)]
        wildcards = [pattern for pattern, _, is_prefix in parsed if is_prefix]
        found = (
            next((one for one in matching_built_in if not one.operational), None)
            or self._first_stored(workspace, wildcards)
            or next(iter(matching_built_in), None)
        )
        return None if found is None else found.name

    def read(self, owner: str, name: str) -> EventType | None:
        """Return the type with this canonical name as it is stored now."""
        places = dict.fromkeys(((PLATFORM, name), (owner, name)))
        return self.built_in.get(name) or next(iter(self._load(list(places)).values()), None)

    def delete(self, owner: str, name: str) -> bool:
        """Delete a type of a workspace or of the platform; return false if there was none."""
        deleted = self.store.delete(owner, name)
        self.forget(owner, name)
        return deleted

    def forget(self, owner: str, name: str) -> None:
        """Read a type again when it is next needed: this process changed it."""
        self._seen.forget((owner, name))

    def schema_of(self, event_type: EventType) -> Schema | None:
        """Return what the data of a type is checked against, None when anything goes."""
        return None if event_type.schema is None else self._compiled(event_type.schema)

    def _is_stored(self, workspace: str, pattern: str) -> bool:
        name, is_prefix = matching.parsed(pattern)
        found = self._first_stored(workspace, [pattern]) if is_prefix else self._stored(workspace, name)
        return found is not None

    def _first_stored(self, workspace: str, wildcards: Sequence[str]) -> EventType | None:
        """Return the first type that any wildcard matches, those of the platform first."""
        found = (
            self.store.first_matching(owner, pattern)
            for owner in (PLATFORM, workspace)
            for pattern in wildcards
        )
        return next(filter(None, found), None)

    def _stored(self, workspace: str, name: str) -> EventType | None:
        places = [(PLATFORM, name), (workspace, name)]
        cached = filter(None, map(self._seen.get, places))
        return next(cached, None) or next(
            iter(self._seen.get_or_load_many(places, self._load).values()), None
        )

    def _load(self, places: Sequence[tuple[str, str]]) -> dict[tuple[str, str], EventType]:
        """Return the types that exist, and none that the platform's hides: it must not decide when that one expires.

        A missing type is not remembered: it works from the moment it is created.
        """
        found = self.store.get_many(places)
        return {
            (owner, name): one
            for (owner, name), one in found.items()
            if owner == PLATFORM or (PLATFORM, name) not in found
        }


def _compile(schema: str) -> Schema:
    return compiled(json.loads(schema))
