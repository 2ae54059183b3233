"""How an event type looks to those who read it, and the list of them."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from posthorn.domain import matching
from posthorn.domain.api_key import PLATFORM
from posthorn.domain.clock import rfc3339

if TYPE_CHECKING:
    from posthorn.api.answers import event_types as answers
    from posthorn.api.event_type_registry import EventTypeRegistry
    from posthorn.domain.event_types import EventType

_BUILT_IN, _PLATFORM, _OWN = "built-in#", "platform#", "own#"  # prefixes of a cursor's position

type _Page = tuple[list[EventType], str | None]


def event_type(one: EventType) -> answers.EventType:
    shown: answers.EventType = {
        "name": one.name,
        "description": one.description,
        "example": one.example,
        "source": one.source.value,
    }
    if one.operational:
        shown["operational"] = True
    if one.schema is not None:
        shown["schema"] = json.loads(one.schema)
    if one.created_at is not None:
        shown["createdAt"] = rfc3339(one.created_at)
    return shown


def page(registry: EventTypeRegistry, owner: str, *, after: str | None, limit: int) -> _Page:
    """Return built-in types, then the platform's, then a workspace's own, and the position after the last one."""
    sections = (_BUILT_IN, _PLATFORM) if owner == PLATFORM else (_BUILT_IN, _PLATFORM, _OWN)
    shown: list[EventType] = []
    position = after or _BUILT_IN
    start = next(number for number, section in enumerate(sections) if position.startswith(section))
    last: str | None = position.removeprefix(sections[start])
    for section in sections[start:]:
        # a full page asks for one more type: without it, the list ends here
        found, last = _section(registry, section, owner, after=last or None, limit=max(limit - len(shown), 1))
        if len(shown) == limit:
            if found:
                return shown, section
            continue
        shown += found if section == _BUILT_IN else _visible(registry, section, found)
        if last is not None:
            return shown, section + last
    return shown, None


def _section(
    registry: EventTypeRegistry, section: str, owner: str, *, after: str | None, limit: int
) -> _Page:
    if section != _BUILT_IN:
        return registry.store.page(PLATFORM if section == _PLATFORM else owner, after=after, limit=limit)
    names = list(registry.built_in)
    start = names.index(after) + 1 if after is not None and after in registry.built_in else 0
    found = [registry.built_in[name] for name in names[start : start + limit]]
    return found, found[-1].name if start + len(found) < len(names) else None


def _visible(registry: EventTypeRegistry, section: str, found: list[EventType]) -> list[EventType]:
    """Return the types that no other one with the same name hides."""
    names = {matching.canonical(one.name): one for one in found}
    hidden = {
        name for name in names if name in registry.built_in
    }  # the operator may have left them out before
    if section == _OWN:
        hidden |= registry.store.names(PLATFORM, names.keys() - hidden)
    return [one for name, one in names.items() if name not in hidden]
