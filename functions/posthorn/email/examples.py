"""An example of each email event type, as SES would publish it."""

from __future__ import annotations

import json
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from posthorn.domain.email_types import MESSAGE_TAG, SET_TAG, WORKSPACE_TAG
from posthorn.email.events import event_of

if TYPE_CHECKING:
    from posthorn.domain.models import Event

EXAMPLE_MESSAGE = "550e8400-e29b-41d4-a716-446655440000"


@lru_cache(maxsize=1)
def examples() -> dict[str, dict[str, Any]]:
    """Return SES's example notifications by event type; callers must not modify them."""
    found: dict[str, dict[str, Any]] = json.loads(
        Path(__file__).with_name("examples.json").read_text("utf-8")
    )
    return found


def example_event(name: str, *, channel: str, workspace: str) -> Event:
    """Return the example of a type as an event of a configuration set, built like the events of real emails."""
    told = examples()[name]
    own_tags = {MESSAGE_TAG: [EXAMPLE_MESSAGE], SET_TAG: [channel], WORKSPACE_TAG: [workspace]}
    mail = {**told["mail"], "tags": {**told["mail"]["tags"], **own_tags}}
    return event_of({**told, "mail": mail})
