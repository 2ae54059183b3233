"""The format `event_json`: `{event, created_at, data}`, the body that a webhook receives by default."""

from posthorn.domain.models import Event
from posthorn.wire.ecmascript import stringify


def body(event: Event) -> bytes:
    """Return the body, the same bytes at every attempt and every endpoint."""
    return f'{{"event":{stringify(event.type)},"created_at":{stringify(event.created_at)},"data":{event.data}}}'.encode()
