"""Merging an event log from its shards: every event once and in order, wherever a query stops."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hypothesis import given
from hypothesis import strategies as st

from posthorn.domain.ids import EVENT, EVENT_SHARDS, first_id, id_before, made_at, new_id, shard_of
from posthorn.domain.models import EventSummary
from posthorn.stores.event_log import Shard, Window, gather

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

IDS = st.builds(
    lambda ms, entropy: new_id(EVENT, now_ms=ms, entropy=entropy),
    st.integers(0, 20),  # many within one millisecond
    st.binary(min_size=10, max_size=10),
)
TYPES = st.sampled_from(["CONTACT_CREATED", "contact.created", "CONTACT_DELETED"])


def _reader(
    events: Sequence[EventSummary], cut: Callable[[], int]
) -> Callable[[str | None, int], Sequence[Shard]]:
    """Return eight shards that stop like real queries: at the limit or earlier, with the position."""
    shards = [
        sorted((one for one in events if shard_of(one.id) == number), key=lambda one: one.id, reverse=True)
        for number in range(EVENT_SHARDS)
    ]

    def read(below: str | None, rows: int) -> list[Shard]:
        found = []
        for shard in shards:
            rest = [one for one in shard if below is None or one.id < below]
            page = rest[: max(1, min(rows, cut()))]  # a query also stops at 1 MB, after at least one row
            found.append(Shard(tuple(page), page[-1].id if len(page) < len(rest) else None))
        return found

    return read


@given(
    ids=st.sets(IDS, max_size=60),
    limit=st.integers(1, 20),
    wanted=st.sampled_from([None, "CONTACT_CREATED"]),
    data=st.data(),
)
def test_pages_put_together_are_all_events(
    ids: set[str], limit: int, wanted: str | None, data: st.DataObject
) -> None:
    """The pages together hold every event in order; no page is longer than requested."""
    events = [EventSummary(one, data.draw(TYPES), "2023-04-16T15:45:00Z") for one in sorted(ids)]
    read = _reader(events, lambda: data.draw(st.integers(1, 5)))
    window = Window(event_type=wanted)
    found: list[EventSummary] = []
    after: str | None = None
    while True:
        page, last = gather(read, window, after=after, limit=limit)
        assert len(page) <= limit
        found += page
        if last is None:
            break
        assert after is None or last < after
        after = last

    assert found == [one for one in reversed(events) if window.covers(one)]


@given(IDS)
def test_the_id_before_is_the_next_smaller(one: str) -> None:
    """No id fits between an id and its predecessor."""
    before = id_before(one)
    if one == first_id(EVENT, now_ms=0):
        assert before == one
    else:
        assert before < one
        number = int.from_bytes(_raw(one)) - int.from_bytes(_raw(before))
        assert number == 1


def _raw(one: str) -> bytes:
    """Return a ULID's 16 bytes, computed independently of the code under test."""
    number = 0
    for character in one.partition("_")[2]:
        number = number * 32 + "0123456789ABCDEFGHJKMNPQRSTVWXYZ".index(character)
    return number.to_bytes(17)


@given(st.integers(0, (1 << 48) - 1), st.binary(min_size=10, max_size=10))
def test_an_id_contains_its_time(moment: int, entropy: bytes) -> None:
    """An id yields its time, and the first id of a time is the smallest possible."""
    one = new_id(EVENT, now_ms=moment, entropy=entropy)

    assert made_at(one) == moment
    assert first_id(EVENT, now_ms=moment) <= one
    if moment:
        assert id_before(first_id(EVENT, now_ms=moment)) >= new_id(
            EVENT, now_ms=moment - 1, entropy=b"\xff" * 10
        )
