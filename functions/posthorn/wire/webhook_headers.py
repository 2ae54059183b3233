"""The headers of a delivery to a webhook, in every format."""

from posthorn.settings import Brand
from posthorn.wire.envelope import Envelope
from posthorn.wire.signing import hex_digest, standard_headers


def headers(envelope: Envelope, brand: Brand) -> tuple[tuple[str, str], ...]:
    """Return the headers of one attempt; those of the brand use the newest secret."""
    signature = hex_digest(envelope.secrets[0], envelope.body)
    alias = ((brand.alias_header, signature),) if brand.alias_header else ()
    return (
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
