"""What a webhook receives: `{event, created_at, data}` and its headers."""

from posthorn.domain.models import Event
from posthorn.settings import Brand
from posthorn.wire.ecmascript import stringify
from posthorn.wire.envelope import Envelope
from posthorn.wire.signing import hex_digest, standard_headers


def body(event: Event) -> bytes:
    """Return the body, the same bytes at every attempt and every endpoint."""
    return f'{{"event":{stringify(event.type)},"created_at":{stringify(event.created_at)},"data":{event.data}}}'.encode()


def headers(envelope: Envelope, brand: Brand) -> tuple[tuple[str, str], ...]:
    """Return the headers of one attempt; those of the brand use the newest secret."""
    signature = hex_digest(envelope.secrets[0], envelope.body)
    alias = ((brand.alias_header, signature),) if brand.alias_header else ()
    return (
        ("Content-Type", "application/json"),
        ("User-Agent", brand.user_agent),
        (f"{brand.header_prefix}-Signature", signature),
        *alias,
        *standard_headers(
            envelope.secrets,
            message_id=envelope.event.id,
            timestamp=envelope.timestamp,
            body=envelope.body,
        ),
    )
