"""Ids: a prefix for the kind of thing, an underscore, a ULID.

An id never contains a dot: Standard Webhooks signs `id.timestamp.body`, so a dot would make that ambiguous.
"""

import re
from typing import Final

WORKSPACE: Final = "wksp"
WEBHOOK: Final = "wh"
EVENT: Final = "evt"
CONFIGURATION_SET: Final = "cs"
DESTINATION: Final = "ed"
REPLAY: Final = "rpl"
EVENT_TYPE: Final = "et"  # identifies one creation of an event type; the type itself goes by its name

EVENT_SHARDS: Final = 8
"""Partitions per channel for its events: 8,000 writes of 1 KB per second."""

NEWEST_MS: Final = (1 << 48) - 1
"""The last time that an id can hold, in Unix milliseconds."""

# Crockford's Base32, as in the ULID specification: no I, L, O, U.
_ALPHABET: Final = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
_ULID: Final = re.compile(r"[0-7][0-9A-HJKMNP-TV-Z]{25}")


def new_id(prefix: str, *, now_ms: int, entropy: bytes) -> str:
    """Make a time-ordered id from Unix milliseconds and 10 random bytes."""
    if len(entropy) != 10:
        raise ValueError("a ULID takes exactly 10 random bytes")
    return _written(prefix, (now_ms << 80) | int.from_bytes(entropy))


def is_id(text: str, prefix: str) -> bool:
    """Return whether `text` has the shape of an id with this prefix."""
    head, _, ulid = text.partition("_")
    return head == prefix and _ULID.fullmatch(ulid) is not None


def shard_of(event_id: str) -> int:
    """Return an event id's shard, 0 to 7; the last character of an id is random."""
    return _ALPHABET.index(event_id[-1]) % EVENT_SHARDS


def first_id(prefix: str, *, now_ms: int) -> str:
    """Return the smallest id that can be made at this time: the lower end of a range of ids."""
    return new_id(prefix, now_ms=now_ms, entropy=bytes(10))


def lower_bound(prefix: str, *, now_ms: int) -> str:
    """Return a text that sorts before every id of a millisecond and after all earlier ones; it is not an id."""
    return first_id(prefix, now_ms=now_ms)[:-16]


def id_before(one: str) -> str:
    """Return the id right before this one: the upper end of a range that excludes it."""
    prefix, _, ulid = one.partition("_")
    return _written(prefix, max(_number(ulid) - 1, 0))


def made_at(one: str) -> int:
    """Return the timestamp in an id or a lower bound, in Unix milliseconds."""
    return _number(one.partition("_")[2][:10])


def _written(prefix: str, number: int) -> str:
    return prefix + "_" + "".join(_ALPHABET[(number >> shift) & 31] for shift in range(125, -1, -5))


def _number(ulid: str) -> int:
    number = 0
    for character in ulid:
        number = number << 5 | _ALPHABET.index(character)
    return number
