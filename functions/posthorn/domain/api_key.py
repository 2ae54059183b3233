"""API keys: `phk_`, an id of 12 characters, a secret of 32 and a checksum of 6.

Prefix and checksum let secret scanners find leaked keys: `phk_[0-9A-Za-z]{50}`.
"""

import hashlib
import hmac
import re
import zlib
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final, Literal

PREFIX: Final = "phk_"
ENTROPY_BYTES: Final = 40

_DIGITS: Final = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
_ID, _SECRET, _CHECKSUM = 12, 32, 6
_SHAPE: Final = re.compile(
    rf"{PREFIX}([0-9A-Za-z]{{{_ID}}})([0-9A-Za-z]{{{_SECRET}}})([0-9A-Za-z]{{{_CHECKSUM}}})"
)


PLATFORM: Final = "platform"
"""What only a platform key may do: manage workspaces. No key of a workspace can have it."""


class Scope(StrEnum):
    """What a key may do within its workspace; each route requires one scope."""

    PUBLISH = "publish"
    API_USER = "api_user"
    USER = "user"
    PARTNER = "partner"
    ADMIN = "admin"


type RequiredScope = Scope | Literal["platform"]
"""What a route requires of a key."""


class KeyState(StrEnum):
    """Whether a key is valid."""

    ACTIVE = "active"
    EXPIRED = "expired"
    REVOKED = "revoked"


@dataclass(frozen=True, slots=True)
class ApiKey:
    """A key as stored: its workspace and scopes, and a hash instead of the secret.

    A platform key has no workspace and no scopes of its own: it has every scope in the workspace that a request names.
    """

    id: str
    workspace: str | None  # None: a platform key
    name: str
    scopes: frozenset[Scope]
    secret_hash: bytes = field(repr=False)
    created_at: int
    valid_until: int | None = None  # Unix milliseconds
    revoked_at: int | None = None
    last_used_at: int | None = None  # to the hour

    @property
    def is_platform(self) -> bool:
        return self.workspace is None

    def is_live(self, now_ms: int) -> bool:
        return self.state(now_ms) is KeyState.ACTIVE

    def state(self, now_ms: int) -> KeyState:
        if self.revoked_at is not None:
            return KeyState.REVOKED
        is_over = self.valid_until is not None and self.valid_until <= now_ms
        return KeyState.EXPIRED if is_over else KeyState.ACTIVE


def mint(entropy: bytes, *, key_id: str | None = None) -> str:
    """Build the text of a new key from 40 random bytes; `key_id` replaces the random id."""
    if len(entropy) != ENTROPY_BYTES:
        raise ValueError(f"a key takes exactly {ENTROPY_BYTES} random bytes")
    digits = _base62(int.from_bytes(entropy), _ID + _SECRET)
    body = PREFIX + (digits[:_ID] if key_id is None else key_id) + digits[_ID:]
    return body + _checksum(body)


def split(key: str) -> tuple[str, str] | None:
    """Return a key's id and secret, None if the text cannot be a key; this needs no lookup."""
    match = _SHAPE.fullmatch(key)
    if match is None or not hmac.compare_digest(match[3].encode(), _checksum(key[:-_CHECKSUM]).encode()):
        return None
    return match[1], match[2]


def key_id_of(key: str) -> str:
    """Return the id of a minted key."""
    return key[len(PREFIX) :][:_ID]


def secret_of(key: str) -> str:
    """Return the secret of a minted key."""
    return key[len(PREFIX) + _ID :][:_SECRET]


def hash_of(secret: str) -> bytes:
    """Return the hash to store for a secret; since it has 190 random bits, a plain hash is enough."""
    return hashlib.sha256(secret.encode()).digest()


def _checksum(body: str) -> str:
    return _base62(zlib.crc32(body.encode()), _CHECKSUM)


def _base62(number: int, length: int) -> str:
    digits: list[str] = []
    for _ in range(length):
        number, digit = divmod(number, 62)
        digits.append(_DIGITS[digit])
    return "".join(reversed(digits))
