"""Matches event types, in either spelling, with the patterns that endpoints subscribe to."""

import re
from collections.abc import Collection, Iterable, Sequence
from enum import StrEnum
from functools import lru_cache
from typing import Final

from posthorn.domain.errors import RefusedEventType
from posthorn.domain.models import Endpoint, Event

MAX_TYPE_LENGTH: Final = 100

# A batch matches the same few names once per event and endpoint.
_REMEMBERED: Final = 10_000

_UPPER: Final = re.compile(r"[A-Z][A-Z0-9]*(_[A-Z0-9]+)*")
_DOTTED: Final = re.compile(r"[a-z][a-z0-9]*([._][a-z0-9]+)*")


class MatchReason(StrEnum):
    """Why an event did or did not go to an endpoint: the one reason that decides."""

    MATCHED = "matched"
    TEST = "test"  # the event is a test of this endpoint
    TEST_OF_ANOTHER = "test_of_another"
    TYPE_NOT_WANTED = "type_not_wanted"
    CREATED_LATER = "created_later"
    DISABLED = "disabled"
    DELETED = "deleted"
    UNREADABLE = "unreadable"  # the endpoint, for this version


@lru_cache(_REMEMBERED)
def canonical(event_type: str) -> str:
    """Return the canonical spelling: `contact.created` and `CONTACT_CREATED` are the same type."""
    if len(event_type) <= MAX_TYPE_LENGTH:
        if _UPPER.fullmatch(event_type):
            return event_type
        if _DOTTED.fullmatch(event_type):
            return event_type.upper().replace(".", "_")
    raise RefusedEventType(
        f"Must be spelled like CONTACT_CREATED or contact.created, with at most {MAX_TYPE_LENGTH} characters.",
        code="invalid_event_type",
    )


def check_subscribed(pattern: str, known: Iterable[str]) -> None:
    """Refuse a pattern that matches none of the `known` canonical names."""
    if pattern == "*":
        return
    stem, wild = stem_of(pattern)
    wanted = canonical(stem)
    if not any(_covers(wanted, wild=wild, event_type=name) for name in known):
        what = "No event type starts with" if wild else "Unknown event type"
        raise RefusedEventType(f"{what} {stem}.", code="unknown_event_type")


def matches(patterns: Iterable[str], event_type: str) -> bool:
    """Return whether any pattern matches the event type, in either spelling."""
    return matching_pattern(patterns, event_type) is not None


def matching_pattern(patterns: Iterable[str], event_type: str) -> str | None:
    """Return the first pattern that matches the event type, in either spelling."""
    name = canonical(event_type)
    for pattern in patterns:
        if pattern == "*":
            return pattern
        stem, wild = _canonical_stem(pattern)
        if _covers(stem, wild=wild, event_type=name):
            return pattern
    return None


def first_type(patterns: Sequence[str], known: Collection[str]) -> str | None:
    """Return the first known type that is subscribed to by name, else the first that matches a pattern, else None."""
    for pattern in patterns:
        if pattern != "*" and not stem_of(pattern)[1] and canonical(pattern) in known:
            return pattern
    return next((name for name in known if matches(patterns, name)), None)


class Subscribers:
    """An index of a channel's endpoints, including disabled ones, by subscription; built once for many events."""

    def __init__(self, endpoints: Iterable[Endpoint]) -> None:
        self._endpoints = list(endpoints)
        self._by_name: dict[str, list[int]] = {}  # positions in the list
        self._by_prefix: list[tuple[str, int]] = []
        for place, endpoint in enumerate(self._endpoints):
            for pattern in endpoint.events:
                stem, wild = ("", True) if pattern == "*" else _canonical_stem(pattern)
                if wild:
                    self._by_prefix.append((f"{stem}_" if stem else "", place))
                else:
                    self._by_name.setdefault(stem, []).append(place)

    def of(self, event: Event) -> list[Endpoint]:
        """Return an event's endpoints: those that subscribe to its type, or the target of a test event."""
        if event.target is not None:
            return [endpoint for endpoint in self._endpoints if endpoint.id == event.target]
        name = canonical(event.type)
        places = {place for prefix, place in self._by_prefix if name.startswith(prefix)}
        return [self._endpoints[place] for place in sorted(places.union(self._by_name.get(name, ())))]


def stem_of(pattern: str) -> tuple[str, bool]:
    """Return a pattern without its wildcard, and whether it had one."""
    if pattern.endswith(("_*", ".*")):
        return pattern[:-2], True
    return pattern, False


@lru_cache(_REMEMBERED)
def _canonical_stem(pattern: str) -> tuple[str, bool]:
    stem, wild = stem_of(pattern)
    return canonical(stem), wild


def _covers(stem: str, *, wild: bool, event_type: str) -> bool:
    return event_type.startswith(f"{stem}_") if wild else event_type == stem
