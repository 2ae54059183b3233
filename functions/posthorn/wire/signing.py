"""Signs requests; every attempt gets new signatures.

Standard Webhooks (https://www.standardwebhooks.com): HMAC-SHA256 of `id.timestamp.body`, version `v1`.
"""

import base64
import hashlib
import hmac
from collections.abc import Sequence
from typing import Final

MIN_SECRET_LENGTH = 16
MAX_SECRET_LENGTH = 256

STANDARD_PREFIX: Final = b"whsec_"
"""Begins a secret that is written as in Standard Webhooks: the rest is the base64 of its key."""

MIN_KEY_BYTES: Final = 24
MAX_KEY_BYTES: Final = 64


def encoded_key(secret: bytes) -> bytes | None:
    """Return the key that a `whsec_` secret encodes; None if the secret is not of that form.

    The base64 must have its padding and the standard alphabet, since not every published library reads other forms.
    """
    if not secret.startswith(STANDARD_PREFIX):
        return None
    text = secret.removeprefix(STANDARD_PREFIX)
    try:
        key = base64.b64decode(text)
    except ValueError:
        return None
    is_exact = base64.b64encode(key) == text  # b64decode skips characters and bits that it does not know
    return key if is_exact and MIN_KEY_BYTES <= len(key) <= MAX_KEY_BYTES else None


def standard_key(secret: bytes) -> bytes:
    """Return the key for `webhook-signature`: the one that a `whsec_` secret encodes, or the text of any other."""
    return encoded_key(secret) or secret


def repeats_one_character(secret: str) -> bool:
    """Return whether a secret, or the key it encodes, is one character again and again."""
    return len(set(secret)) == 1 or len(set(standard_key(secret.encode()))) == 1


def hex_digest(secret: bytes, body: bytes) -> str:
    """Return the hex HMAC-SHA256 of the body alone, as in the brand's headers: the key is the secret's text."""
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
        base64.b64encode(hmac.digest(standard_key(secret), signed, hashlib.sha256)).decode()
        for secret in secrets
    )
    return (
        ("webhook-id", message_id),
        ("webhook-timestamp", str(timestamp)),
        ("webhook-signature", " ".join(f"v1,{signature}" for signature in signatures)),
    )
