"""Matches event types with the patterns that endpoints subscribe to.

A name that is spelled like CONTACT_CREATED or like contact.created has both spellings. Every other name has one.
"""

import re
from collections.abc import Collection, Iterable, Iterator, Sequence
from enum import StrEnum
from functools import lru_cache
from typing import Final

from posthorn.domain.errors import RefusedEventType
from posthorn.domain.models import Endpoint, Event

MAX_TYPE_LENGTH: Final = 128

# A batch matches the same few names once per event and endpoint.
_REMEMBERED: Final = 10_000

_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.:/-]*")
_UPPER: Final = re.compile(r"[A-Z][A-Z0-9]*(_[A-Z0-9]+)*")
_DOTTED: Final = re.compile(r"[a-z][a-z0-9]*(\.[a-z0-9]+)*")
_SEPARATOR: Final = re.compile(r"[_.:/]")
_WILDCARDS: Final = ("_*", ".*", ":*", "/*")
_INVALID: Final = "invalid_event_type"


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
    """Return the spelling that identifies a type: `contact.created` and `CONTACT_CREATED` are the same type."""
    if len(event_type) > MAX_TYPE_LENGTH or not _NAME.fullmatch(event_type):
        raise RefusedEventType(
            f"Must have 1 to {MAX_TYPE_LENGTH} letters, digits and characters of `_.:/-`, and begin with a letter"
            " or a digit.",
            code=_INVALID,
        )
    return event_type.upper().replace(".", "_") if _DOTTED.fullmatch(event_type) else event_type


def check_subscribed(pattern: str, known: Iterable[str]) -> None:
    """Refuse a pattern that matches none of the `known` types."""
    text, is_prefix = parsed(pattern)
    if pattern == "*" or any(_covers(text, is_prefix=is_prefix, name=canonical(name)) for name in known):
        return
    detail = f"No event type matches {pattern}." if is_prefix else f"Unknown event type {pattern}."
    raise RefusedEventType(detail, code="unknown_event_type")


def matches(patterns: Iterable[str], event_type: str) -> bool:
    """Return whether any pattern matches the event type."""
    return matching_pattern(patterns, event_type) is not None


def matching_pattern(patterns: Iterable[str], event_type: str) -> str | None:
    """Return the first pattern that matches the event type."""
    name = canonical(event_type)
    for pattern in patterns:
        text, is_prefix = parsed(pattern)
        if _covers(text, is_prefix=is_prefix, name=name):
            return pattern
    return None


def first_type(patterns: Sequence[str], known: Collection[str]) -> str | None:
    """Return the first known type that is subscribed to by name, else the first that matches a pattern, else None."""
    for pattern in patterns:
        text, is_prefix = parsed(pattern)
        if not is_prefix and text in known:
            return pattern
    return next((name for name in known if matches(patterns, name)), None)


class Subscribers:
    """An index of a channel's endpoints, including disabled ones, by subscription; built once for many events."""

    def __init__(self, endpoints: Iterable[Endpoint]) -> None:
        self._endpoints = list(endpoints)
        self._by_name: dict[str, list[int]] = {}  # positions in the list
        self._by_prefix: dict[str, list[int]] = {}
        self._everything: list[int] = []
        for place, endpoint in enumerate(self._endpoints):
            for pattern in endpoint.events:
                text, is_prefix = parsed(pattern)
                if pattern == "*":
                    self._everything.append(place)
                else:
                    (self._by_prefix if is_prefix else self._by_name).setdefault(text, []).append(place)

    def of(self, event: Event) -> list[Endpoint]:
        """Return an event's endpoints: those that subscribe to its type, or the target of a test event."""
        if event.target is not None:
            return [endpoint for endpoint in self._endpoints if endpoint.id == event.target]
        name = canonical(event.type)
        places = {*self._everything, *self._by_name.get(name, ())}
        if self._by_prefix:
            places.update(place for prefix in _prefixes(name) for place in self._by_prefix.get(prefix, ()))
        return [self._endpoints[place] for place in sorted(places)]


@lru_cache(_REMEMBERED)
def parsed(pattern: str) -> tuple[str, bool]:
    """Return a pattern's canonical name and False, or what the types of a wildcard begin with and True.

    A wildcard is `*` alone, or stands behind a separator: `contact.*` begins with `contact.`.
    """
    if not pattern.endswith("*"):
        return canonical(pattern), False
    prefix = pattern[:-1]
    if prefix and not (
        pattern.endswith(_WILDCARDS) and len(prefix) <= MAX_TYPE_LENGTH and _NAME.fullmatch(prefix)
    ):
        detail = (
            "Must be `*` alone, or the beginning of event types up to a `_`, `.`, `:` or `/`, and then `*`."
        )
        raise RefusedEventType(detail, code=_INVALID)
    return prefix, True


def _spellings(name: str) -> tuple[str, ...]:
    """Return both spellings of a canonical name, or its only one."""
    return (name, name.lower().replace("_", ".")) if _UPPER.fullmatch(name) else (name,)


def canonical_starts(pattern: str) -> tuple[str, ...]:
    """Return what the canonical names of the types that a wildcard matches can start with."""
    prefix, _ = parsed(pattern)
    if prefix.endswith(".") and _DOTTED.fullmatch(prefix[:-1]):
        # contact.created has the canonical name CONTACT_CREATED, and contact.left_list its own
        return prefix.upper().replace(".", "_"), prefix
    return (prefix,)


def _prefixes(name: str) -> Iterator[str]:
    """Yield every prefix that matches a canonical name. Not cached: a long name has more than a hundred."""
    for spelling in _spellings(name):
        for separator in _SEPARATOR.finditer(spelling):
            yield spelling[: separator.end()]


def _covers(text: str, *, is_prefix: bool, name: str) -> bool:
    return any(one.startswith(text) for one in _spellings(name)) if is_prefix else name == text
