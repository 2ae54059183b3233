"""Event types: the built-in ones, each with a description and an example of its data, and how others look."""

import json
from dataclasses import dataclass, field
from enum import StrEnum
from functools import lru_cache
from pathlib import Path
from typing import Any


class EventTypeSource(StrEnum):
    """Who created a type. Of types with one name, the first source decides."""

    BUILT_IN = "built-in"
    PLATFORM = "platform"
    OWN = "own"


@dataclass(frozen=True, slots=True)
class EventType:
    """A type of event."""

    name: str  # as it was created
    description: str
    example: dict[str, Any] = field(hash=False)
    source: EventTypeSource = EventTypeSource.BUILT_IN
    operational: bool = False  # only Posthorn publishes it
    schema: str | None = None  # the JSON Schema that its events' data must match
    created_at: int | None = None  # Unix milliseconds; None: built in
    made_by: str | None = None  # id of the decision that created it, so that a repetition recognizes its own


@lru_cache(maxsize=2)
def built_in(*, only_operational: bool = False) -> dict[str, EventType]:
    """Return the built-in event types by their canonical name, in the order of the catalog."""
    entries = json.loads(Path(__file__).with_name("event_types.json").read_text("utf-8"))
    types = [EventType(**entry) for entry in entries]
    return {one.name: one for one in types if one.operational or not only_operational}
