"""Ids are a prefix and a ULID (https://github.com/ulid/spec), so they sort by time."""

from __future__ import annotations

import re
from collections import Counter
from typing import Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from posthorn.domain.ids import (
    EVENT,
    EVENT_SHARDS,
    WEBHOOK,
    WORKSPACE,
    is_id,
    lower_bound,
    made_at,
    new_id,
    shard_of,
)

# Crockford's base 32 (https://www.crockford.com/base32.html)
ALPHABET: Final = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
LATEST: Final = 2**48 - 1
"""Milliseconds: the maximum of a ULID's 48-bit time, in the year 10889."""

moments: Final = st.integers(0, LATEST)
entropies: Final = st.binary(min_size=10, max_size=10)
prefixes: Final = st.sampled_from([EVENT, WEBHOOK, WORKSPACE])


def decoded(ulid: str) -> int:
    number = 0
    for character in ulid:
        number = number * 32 + ALPHABET.index(character)
    return number


def test_the_time_of_the_specifications_example_is_written_as_there() -> None:
    """The first ten characters for the specification's example time are its own: 01ARYZ6S41."""
    made = new_id(EVENT, now_ms=1_469_918_176_385, entropy=bytes(10))
    assert made == "evt_01ARYZ6S410000000000000000"


def test_the_prefixes_are_the_published_ones() -> None:
    """Ids look like those in the documentation: wh_123456789, wksp_123456789."""
    assert (WEBHOOK, WORKSPACE, EVENT) == ("wh", "wksp", "evt")


def test_the_largest_ulid_is_the_specifications() -> None:
    """The largest ULID is the specification's 7ZZZZZZZZZZZZZZZZZZZZZZZZZ."""
    assert new_id(EVENT, now_ms=LATEST, entropy=b"\xff" * 10) == "evt_7ZZZZZZZZZZZZZZZZZZZZZZZZZ"


@given(prefix=prefixes, now_ms=moments, entropy=entropies)
def test_an_id_holds_its_time_and_its_random_bytes(prefix: str, now_ms: int, entropy: bytes) -> None:
    """No bit of the time or the random bytes is lost, so two ids are equal only if both are."""
    head, _, ulid = new_id(prefix, now_ms=now_ms, entropy=entropy).partition("_")
    assert head == prefix
    assert len(ulid) == 26
    assert divmod(decoded(ulid), 2**80) == (now_ms, int.from_bytes(entropy))


@given(prefix=prefixes, now_ms=moments, entropy=entropies)
def test_an_id_keeps_to_the_published_shape(prefix: str, now_ms: int, entropy: bytes) -> None:
    """An id has up to 64 letters, digits, underscores and hyphens; a dot would break signatures."""
    made = new_id(prefix, now_ms=now_ms, entropy=entropy)
    assert re.fullmatch(r"[A-Za-z0-9_-]{1,64}", made)
    assert is_id(made, prefix)
    assert not any(is_id(made, other) for other in {EVENT, WEBHOOK, WORKSPACE} - {prefix})


@given(first=moments, second=moments, entropy=st.tuples(entropies, entropies))
def test_ids_sort_by_their_time(first: int, second: int, entropy: tuple[bytes, bytes]) -> None:
    """An id made in a later millisecond sorts after earlier ones, whatever the random part."""
    one = new_id(EVENT, now_ms=first, entropy=entropy[0])
    other = new_id(EVENT, now_ms=second, entropy=entropy[1])
    if first != second:
        assert (one < other) == (first < second)


@pytest.mark.parametrize("entropy", [b"", bytes(9), bytes(11), bytes(16)])
def test_another_amount_of_random_bytes_is_a_mistake(entropy: bytes) -> None:
    """The wrong number of random bytes raises: fewer would not be unique, more would overwrite the time."""
    with pytest.raises(ValueError, match="10 random bytes"):
        new_id(EVENT, now_ms=0, entropy=entropy)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "evt",
        "evt_",
        "01ARYZ6S410000000000000000",
        "_01ARYZ6S410000000000000000",
        "wh_01ARYZ6S410000000000000000",
        "EVT_01ARYZ6S410000000000000000",
        "evt_01ARYZ6S41000000000000000",
        "evt_01ARYZ6S4100000000000000000",
        "evt_81ARYZ6S410000000000000000",  # more than 128 bits
        "evt_01aryz6s410000000000000000",
        "evt_01ARYZ6S41000000000000000I",
        "evt_01ARYZ6S41000000000000000L",
        "evt_01ARYZ6S41000000000000000O",
        "evt_01ARYZ6S41000000000000000U",
        "evt_01ARYZ6S410000000000000000\n",
        "evt_01ARYZ6S41000000000000000\u0660",
        "evt_evt_01ARYZ6S410000000000000000",
        "evt_01ARYZ6S410000000000000000.1",
        "evt-01ARYZ6S410000000000000000",
        " evt_01ARYZ6S410000000000000000",
        "evt_../../../../../etc/passwd#",
    ],
)
def test_lookalikes_are_not_ids(text: str) -> None:
    """An id has exactly one spelling, so it can be looked up without being normalized."""
    assert not is_id(text, EVENT)


@given(text=st.text(max_size=40) | st.from_regex(r"evt_[0-9A-Z]{26}", fullmatch=True))
def test_every_text_that_passes_for_an_id_has_a_shard(text: str) -> None:
    """`shard` never fails for an id that passed the check."""
    if is_id(text, EVENT):
        assert 0 <= shard_of(text) < EVENT_SHARDS


def test_shards_share_the_events_equally() -> None:
    """Each shard covers the same number of final characters, which are random."""
    stem = "evt_01ARYZ6S41000000000000000"
    shards = Counter(shard_of(stem + last) for last in ALPHABET)
    assert shards == dict.fromkeys(range(8), 4)


@given(now_ms=moments, entropy=entropies)
def test_the_shard_comes_from_the_random_part(now_ms: int, entropy: bytes) -> None:
    """Events of one millisecond spread over all shards."""
    assert shard_of(new_id(EVENT, now_ms=now_ms, entropy=entropy)) == entropy[-1] % 32 % EVENT_SHARDS


@given(prefix=prefixes, now_ms=moments, entropy=entropies)
def test_the_time_of_an_id_can_be_read(prefix: str, now_ms: int, entropy: bytes) -> None:
    """The creation time of an id and the first id of its millisecond can both be read back."""
    assert made_at(new_id(prefix, now_ms=now_ms, entropy=entropy)) == now_ms
    assert made_at(lower_bound(prefix, now_ms=now_ms)) == now_ms


@given(prefix=prefixes, one=moments, other=moments, entropy=entropies)
def test_the_beginning_of_a_millisecond_parts_the_ids(
    prefix: str, one: int, other: int, entropy: bytes
) -> None:
    """The first id of a millisecond sorts before all ids of it and later ones, and after all earlier ones."""
    assert (lower_bound(prefix, now_ms=one) < new_id(prefix, now_ms=other, entropy=entropy)) == (one <= other)
