"""API keys: `phk_`, 12 characters that name the key, 32 that prove it, 6 that catch a typing mistake.

The prefix and the checksum let secret scanners find a leaked one: `phk_[0-9A-Za-z]{50}`.
"""

import hashlib
import hmac
import re
import zlib
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

PREFIX: Final = "phk_"
ENTROPY_BYTES: Final = 40

_DIGITS: Final = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
_ID, _SECRET, _CHECKSUM = 12, 32, 6
_SHAPE: Final = re.compile(
    rf"{PREFIX}([0-9A-Za-z]{{{_ID}}})([0-9A-Za-z]{{{_SECRET}}})([0-9A-Za-z]{{{_CHECKSUM}}})"
)


class Scope(StrEnum):
    """What a key may do; each route names the one it asks for."""

    API_USER = "api_user"
    USER = "user"
    PARTNER = "partner"
    ADMIN = "admin"


@dataclass(frozen=True, slots=True)
class ApiKey:
    """A key as it is stored: whose it is and what it may do, and a hash instead of the secret."""

    id: str
    workspace: str
    name: str
    scopes: frozenset[Scope]
    secret_hash: bytes = field(repr=False)
    created_at: int
    valid_until: int | None = None  # Unix milliseconds
    revoked_at: int | None = None

    def is_live(self, now_ms: int) -> bool:
        return self.revoked_at is None and (self.valid_until is None or now_ms < self.valid_until)


def mint(entropy: bytes) -> str:
    """Make the text of a new key from 40 random bytes; nobody can make it again."""
    if len(entropy) != ENTROPY_BYTES:
        raise ValueError(f"a key takes exactly {ENTROPY_BYTES} random bytes")
    body = PREFIX + _base62(int.from_bytes(entropy), _ID + _SECRET)
    return body + _checksum(body)


def split(key: str) -> tuple[str, str] | None:
    """Return the id and the secret of a key, None if it cannot be one: no look-up is needed to tell."""
    match = _SHAPE.fullmatch(key)
    if match is None or not hmac.compare_digest(match[3].encode(), _checksum(key[:-_CHECKSUM]).encode()):
        return None
    return match[1], match[2]


def hash_of(secret: str) -> bytes:
    """Return what is stored of a secret; with 190 random bits in it, a plain hash is enough."""
    return hashlib.sha256(secret.encode()).digest()


def _checksum(body: str) -> str:
    return _base62(zlib.crc32(body.encode()), _CHECKSUM)


def _base62(number: int, length: int) -> str:
    digits: list[str] = []
    for _ in range(length):
        number, digit = divmod(number, 62)
        digits.append(_DIGITS[digit])
    return "".join(reversed(digits))
