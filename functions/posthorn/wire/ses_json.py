"""The format `ses_json`: SES's event JSON as it is, the body that an event destination receives by default."""

import json
from typing import Final

from posthorn.domain.errors import Malformed
from posthorn.domain.models import Event

_FIRST_KEY: Final = '{"eventType":'


def body(event: Event) -> bytes:
    """Return the body, which is the event's data as it is."""
    return event.data.encode()


def event_type(event: Event) -> str:
    """Return SES's name of the event, which is the first thing in its data."""
    if not event.data.startswith(_FIRST_KEY):
        raise Malformed("the event of a mail does not begin with its eventType")
    found, _ = json.JSONDecoder().raw_decode(event.data, len(_FIRST_KEY))
    return str(found)
