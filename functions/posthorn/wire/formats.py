"""The two tables of a delivery: the format makes the body, the kind of the endpoint makes the headers.

A new format takes its name in `PayloadFormat`, a module beside this one, and a line in `_FORMATS`. The API, its
description and the delivery log read this table.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from posthorn.domain.endpoint_kind import EndpointKind, PayloadFormat
from posthorn.domain.models import Event
from posthorn.settings import Brand
from posthorn.wire import (
    cloudevents_json,
    event_destination_headers,
    event_json,
    ses_json,
    standard_json,
    webhook_headers,
)
from posthorn.wire.envelope import Envelope

type Headers = tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class _Format:
    """How a format writes an event, and which kinds of endpoints can choose it."""

    kinds: frozenset[EndpointKind]
    body: Callable[[Event], bytes]
    content_type: str = "application/json"


@dataclass(frozen=True, slots=True)
class _Kind:
    """What a kind of endpoint receives whatever its format; `check` refuses an event that `headers` cannot take."""

    default: PayloadFormat  # must never change: an attempt in the default format does not store it
    headers: Callable[[Envelope, Brand], Headers]
    check: Callable[[Event], object]


_WEBHOOK: Final = frozenset({EndpointKind.WEBHOOK})
_EVENT_DESTINATION: Final = frozenset({EndpointKind.EVENT_DESTINATION})
_BOTH: Final = frozenset(EndpointKind)

_FORMATS: Final = {
    PayloadFormat.EVENT_JSON: _Format(_WEBHOOK, event_json.body),
    PayloadFormat.SES_JSON: _Format(_EVENT_DESTINATION, ses_json.body),
    PayloadFormat.STANDARD_JSON: _Format(_BOTH, standard_json.body),
    PayloadFormat.CLOUDEVENTS_JSON: _Format(_BOTH, cloudevents_json.body, cloudevents_json.CONTENT_TYPE),
}
_KINDS: Final = {
    EndpointKind.WEBHOOK: _Kind(PayloadFormat.EVENT_JSON, webhook_headers.headers, lambda _: None),
    EndpointKind.EVENT_DESTINATION: _Kind(
        PayloadFormat.SES_JSON, event_destination_headers.headers, ses_json.event_type
    ),
}


def formats_of(kind: EndpointKind) -> tuple[PayloadFormat, ...]:
    """Return the formats that an endpoint of a kind can have, the default first."""
    others = (name for name, one in _FORMATS.items() if kind in one.kinds and name is not default_of(kind))
    return (default_of(kind), *others)


def default_of(kind: EndpointKind) -> PayloadFormat:
    """Return the format of an endpoint that chose none."""
    return _KINDS[kind].default


def content_type_of(payload_format: PayloadFormat) -> str:
    return _FORMATS[payload_format].content_type


def check(kind: EndpointKind, event: Event) -> None:
    """Raise `Malformed` for an event that endpoints of a kind cannot receive, in any format."""
    _KINDS[kind].check(event)


def body_of(payload_format: PayloadFormat, event: Event) -> bytes:
    """Return the body of an event in a format."""
    return _FORMATS[payload_format].body(event)


def headers_of(
    kind: EndpointKind, payload_format: PayloadFormat, envelope: Envelope, brand: Brand
) -> Headers:
    """Return the headers of one attempt."""
    return ("Content-Type", content_type_of(payload_format)), *_KINDS[kind].headers(envelope, brand)
