"""The format `standard_json`: `{type, timestamp, data}`, the payload that Standard Webhooks recommends.

https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md
"""

from posthorn.domain.models import Event
from posthorn.wire.ecmascript import stringify


def body(event: Event) -> bytes:
    """Return the body; `timestamp` is the time of the event, not that of the attempt."""
    return f'{{"type":{stringify(event.type)},"timestamp":{stringify(event.created_at)},"data":{event.data}}}'.encode()
