"""Which wire format makes what: the one table that knows them all."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from posthorn.domain.models import Event, Wire
from posthorn.settings import Brand
from posthorn.wire import event_json, ses_json
from posthorn.wire.envelope import Envelope

type Headers = tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Format:
    """How one wire format turns an event into a body, and an attempt into headers."""

    check: Callable[[Event], object]
    body: Callable[[Event], bytes]
    headers: Callable[[Envelope, Brand], Headers]


_FORMATS: Final = {
    Wire.SMASHSEND: Format(lambda _: None, event_json.body, event_json.headers),
    Wire.SPLASHIFY: Format(ses_json.event_type, ses_json.body, ses_json.headers),
}


def check(wire: Wire, event: Event) -> None:
    """Raise `Malformed` for an event that a wire format could not carry."""
    _FORMATS[wire].check(event)


def body_of(wire: Wire, event: Event) -> bytes:
    """Return the body of an event in a wire format."""
    return _FORMATS[wire].body(event)


def headers_of(wire: Wire, envelope: Envelope, brand: Brand) -> Headers:
    """Return the headers of one attempt in a wire format."""
    return _FORMATS[wire].headers(envelope, brand)
