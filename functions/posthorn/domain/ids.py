"""Identifiers: a prefix that says what it names, an underscore, a ULID.

An id never holds a dot, which would shift the frame of a Standard Webhooks signature.
"""

import re
from typing import Final

WORKSPACE: Final = "wksp"
WEBHOOK: Final = "wh"
EVENT: Final = "evt"
CONFIGURATION_SET: Final = "cs"
DESTINATION: Final = "ed"
REPLAY: Final = "rpl"
EVENT_TYPE: Final = "et"  # of one making of an event type; what it is called by is its name

EVENT_SHARDS: Final = 8
"""Partitions that one channel's events are spread over: 8,000 writes a second at 1 KB."""

# Crockford's base 32, as the ULID specification has it: no I, L, O, U.
_ALPHABET: Final = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
_ULID: Final = re.compile(r"[0-7][0-9A-HJKMNP-TV-Z]{25}")


def new_id(prefix: str, *, now_ms: int, entropy: bytes) -> str:
    """Make a time-ordered id from milliseconds since 1970 and 10 random bytes."""
    if len(entropy) != 10:
        raise ValueError("a ULID takes exactly 10 random bytes")
    return _written(prefix, (now_ms << 80) | int.from_bytes(entropy))


def is_id(text: str, prefix: str) -> bool:
    """Tell whether `text` has the shape of an id with this prefix."""
    head, _, ulid = text.partition("_")
    return head == prefix and _ULID.fullmatch(ulid) is not None


def shard_of(event_id: str) -> int:
    """Return the shard, 0 to 7, that an event id belongs to; its last character is random."""
    return _ALPHABET.index(event_id[-1]) % EVENT_SHARDS


def first_id(prefix: str, *, now_ms: int) -> str:
    """Return the smallest id that can be made at a moment: the lower end of a range of ids."""
    return new_id(prefix, now_ms=now_ms, entropy=bytes(10))


def lower_bound(prefix: str, *, now_ms: int) -> str:
    """Return what sorts before every id of a millisecond and after every id of an earlier one; no id itself."""
    return first_id(prefix, now_ms=now_ms)[:-16]


def id_before(one: str) -> str:
    """Return the id right before this one: the upper end of a range that leaves it out."""
    prefix, _, ulid = one.partition("_")
    return _written(prefix, max(_number(ulid) - 1, 0))


def made_at(one: str) -> int:
    """Return the moment in an id or in a lower bound of ids, in Unix milliseconds."""
    return _number(one.partition("_")[2][:10])


def _written(prefix: str, number: int) -> str:
    return prefix + "_" + "".join(_ALPHABET[(number >> shift) & 31] for shift in range(125, -1, -5))


def _number(ulid: str) -> int:
    number = 0
    for character in ulid:
        number = number << 5 | _ALPHABET.index(character)
    return number
