"""An example of each event in the life of a mail, as SES would tell it."""

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
    """Return what SES would tell, by the names that destinations subscribe to; nobody changes what is inside."""
    found: dict[str, dict[str, Any]] = json.loads(
        Path(__file__).with_name("examples.json").read_text("utf-8")
    )
    return found


def example_event(name: str, *, channel: str, workspace: str) -> Event:
    """Return the example of a type as an event of a configuration set, made as the events of real mails are."""
    told = examples()[name]
    own_tags = {MESSAGE_TAG: [EXAMPLE_MESSAGE], SET_TAG: [channel], WORKSPACE_TAG: [workspace]}
    mail = {**told["mail"], "tags": {**told["mail"]["tags"], **own_tags}}
    return event_of({**told, "mail": mail})
