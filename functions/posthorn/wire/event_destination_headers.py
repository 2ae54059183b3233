"""The headers of a delivery to an event destination, in every format."""

import uuid
from typing import Final

from posthorn.settings import Brand
from posthorn.wire.envelope import Envelope
from posthorn.wire.ses_json import event_type
from posthorn.wire.signing import hex_digest, standard_headers

_NAMESPACE: Final = uuid.UUID("fbe717da-6f00-4854-87d7-7f2ef74ae51a")
"""Ours, made once. It must never change: an attempt's id would."""


def headers(envelope: Envelope, brand: Brand) -> tuple[tuple[str, str], ...]:
    """Return the headers of one attempt; those of the brand use the newest secret."""
    prefix = brand.email_header_prefix
    return (
        ("User-Agent", brand.email_user_agent),
        (f"{prefix}-Event", event_type(envelope.event)),
        (f"{prefix}-Signature", f"sha256={hex_digest(envelope.secrets[0], envelope.body)}"),
        (f"{prefix}-Timestamp", str(envelope.timestamp)),
        (f"{prefix}-Delivery-ID", delivery_id(envelope)),
        *standard_headers(
            envelope.secrets,
            message_id=envelope.event.id,
            timestamp=envelope.timestamp,
            body=envelope.body,
        ),
    )


def delivery_id(envelope: Envelope) -> str:
    """Return the UUID of an attempt, which a duplicate of the same attempt carries again."""
    name = f"{envelope.endpoint_id}/{envelope.event.id}/{envelope.generation}/{envelope.attempt}"
    return str(uuid.uuid5(_NAMESPACE, name))
