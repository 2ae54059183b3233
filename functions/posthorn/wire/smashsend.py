"""What a webhook receives: `{event, created_at, data}` and its headers."""

from collections.abc import Sequence

from posthorn.models import Event
from posthorn.settings import Brand
from posthorn.wire.ecmascript import stringify
from posthorn.wire.signing import hex_digest, standard_headers


def body(event: Event) -> bytes:
    """Return the body, the same bytes at every attempt and every endpoint."""
    return f'{{"event":{stringify(event.type)},"created_at":{stringify(event.created_at)},"data":{event.data}}}'.encode()


def headers(
    event: Event, payload: bytes, secrets: Sequence[bytes], *, now_ms: int, brand: Brand
) -> tuple[tuple[str, str], ...]:
    """Return the headers of one attempt; `secrets` newest first, of which the brand headers use the newest."""
    signature = hex_digest(secrets[0], payload)
    alias = ((brand.alias_header, signature),) if brand.alias_header else ()
    return (
        ("Content-Type", "application/json"),
        ("User-Agent", brand.user_agent),
        (f"{brand.header_prefix}-Signature", signature),
        *alias,
        *standard_headers(secrets, message_id=event.id, timestamp=now_ms // 1000, body=payload),
    )
