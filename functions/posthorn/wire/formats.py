"""Which wire format makes what: the one table that knows them all."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from posthorn.models import Event, Wire
from posthorn.settings import Brand
from posthorn.wire import smashsend


@dataclass(frozen=True, slots=True)
class Format:
    """How one wire format turns an event into a body, and an attempt into headers."""

    body: Callable[[Event], bytes]
    headers: Callable[..., tuple[tuple[str, str], ...]]


_FORMATS: Final = {Wire.SMASHSEND: Format(body=smashsend.body, headers=smashsend.headers)}


def body_of(wire: Wire, event: Event) -> bytes:
    """Return the body of an event in a wire format."""
    return _FORMATS[wire].body(event)


def headers_of(
    wire: Wire, event: Event, payload: bytes, secrets: Sequence[bytes], *, now_ms: int, brand: Brand
) -> tuple[tuple[str, str], ...]:
    """Return the headers of one attempt in a wire format; `secrets` newest first."""
    return _FORMATS[wire].headers(event, payload, secrets, now_ms=now_ms, brand=brand)
