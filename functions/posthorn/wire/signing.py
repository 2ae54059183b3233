"""Signs requests; every attempt gets new signatures.

Standard Webhooks (https://www.standardwebhooks.com): HMAC-SHA256 of `id.timestamp.body`, version `v1`.
"""

import base64
import hashlib
import hmac
from collections.abc import Sequence

MIN_SECRET_LENGTH = 16
MAX_SECRET_LENGTH = 256


def hex_digest(secret: bytes, body: bytes) -> str:
    """Return the hex HMAC-SHA256 of the body alone, as in the brand's headers."""
    return hmac.digest(secret, body, hashlib.sha256).hex()


def standard_headers(
    secrets: Sequence[bytes], *, message_id: str, timestamp: int, body: bytes
) -> tuple[tuple[str, str], ...]:
    """Return the three Standard Webhooks headers.

    `secrets` are in order, newest first; each adds a signature. `timestamp` is in Unix seconds.
    """
    if "." in message_id:
        raise ValueError("a message id must not contain a dot: it separates the signed parts")
    signed = f"{message_id}.{timestamp}.".encode() + body
    signatures = (
        base64.b64encode(hmac.digest(secret, signed, hashlib.sha256)).decode() for secret in secrets
    )
    return (
        ("webhook-id", message_id),
        ("webhook-timestamp", str(timestamp)),
        ("webhook-signature", " ".join(f"v1,{signature}" for signature in signatures)),
    )
