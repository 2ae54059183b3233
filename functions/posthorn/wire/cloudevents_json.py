"""The format `cloudevents_json`: a CloudEvents 1.0 event in structured mode.

https://github.com/cloudevents/spec/blob/v1.0.2/cloudevents/formats/json-format.md
"""

from typing import Final

from posthorn.domain.models import Event
from posthorn.wire.ecmascript import stringify

CONTENT_TYPE: Final = "application/cloudevents+json"  # JSON has no charset: it is always UTF-8


def body(event: Event) -> bytes:
    """Return the body. Its `id` is the `webhook-id`, so `source` and `id` name an event for good."""
    return (
        f'{{"specversion":"1.0","id":{stringify(event.id)},"source":{stringify(source(event))},'
        f'"type":{stringify(event.type)},"time":{stringify(event.created_at)},'
        f'"datacontenttype":"application/json","data":{event.data}}}'
    ).encode()


def source(event: Event) -> str:
    """Return where an event happened, as a URI reference: its workspace, or a configuration set of it."""
    workspace = f"/workspaces/{event.workspace}"
    if event.channel == event.workspace:
        return workspace
    return f"{workspace}/configuration-sets/{event.channel}"
