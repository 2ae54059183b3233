"""The cache for keys, event types and secrets: bounded in time, bounded in size, shared by threads."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from posthorn.domain.ttl_cache import TtlCache

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

TTL = 10.0


class Source:
    """A clock, a cache and a counter of loads."""

    def __init__(self, size: int = 3) -> None:
        self.now = 100.0
        self.loads = 0
        self.cache: TtlCache[str, str] = TtlCache(ttl=TTL, size=size, clock=lambda: self.now)

    def load(self, key: str, value: str | None = "value") -> str | None:
        def loading() -> str | None:
            self.loads += 1
            return value

        return self.cache.get_or_load(key, loading)


@pytest.mark.parametrize(("passed", "loads"), [(0.0, 1), (TTL - 0.001, 1), (TTL, 2)])
def test_a_value_is_loaded_once_until_it_expires(passed: float, loads: int) -> None:
    """It is gone at the end of its time, not after it."""
    source = Source()
    source.load("key")
    source.now += passed

    assert (source.cache.get("key") is None) == (loads == 2)
    assert source.load("key") == "value"
    assert source.loads == loads


def test_the_time_starts_before_loading() -> None:
    """A key that is revoked while it is loaded works no longer than one that was revoked right after."""
    source = Source()

    def slowly() -> str:
        source.now += TTL - 1
        return "value"

    source.cache.get_or_load("key", slowly)
    source.now += 1

    assert source.cache.get("key") is None


def test_nothing_is_not_cached() -> None:
    """A key works from the moment it exists, even if somebody tried it before."""
    source = Source()

    assert source.load("key", None) is None
    assert source.load("key") == "value"


def test_an_error_is_not_cached() -> None:
    """The next call tries again."""
    source = Source()

    def failing() -> str:
        raise ValueError

    with pytest.raises(ValueError, match=r"^$"):
        source.cache.get_or_load("key", failing)
    assert source.load("key") == "value"


def test_replacing_a_value_does_not_extend_its_time() -> None:
    """What is noted about a key does not postpone the next look at it."""
    source = Source()
    source.load("key")
    source.now += TTL - 1

    source.cache.replace("key", "noted")
    noted = source.cache.get("key")
    source.now += 1

    assert (noted, source.cache.get("key")) == ("noted", None)


def test_replacing_adds_nothing() -> None:
    """A key that was forgotten meanwhile stays forgotten."""
    source = Source()
    source.load("key")
    source.cache.forget("key")

    source.cache.replace("key", "noted")
    source.cache.forget("key")  # twice does no harm

    assert source.cache.get("key") is None


def test_the_oldest_value_makes_room() -> None:
    """A value that was loaded again is not the oldest anymore, and takes no second place."""
    source = Source(size=3)
    for key in ("a", "b", "c"):
        source.load(key)
    source.now += TTL
    source.load("b")  # expired, so it is loaded again
    for key in ("d", "e"):
        source.load(key)

    loads = source.loads
    for key in ("b", "d", "e"):
        source.load(key)
    assert source.loads == loads


@given(keys=st.lists(st.sampled_from("abcdefgh"), max_size=60), size=st.integers(1, 5))
def test_the_size_is_bounded(keys: list[str], size: int) -> None:
    """However many keys are asked for, no more than `size` of them are kept, and the last one is."""
    source = Source(size)
    for key in keys:
        source.load(key)

    kept = [key for key in "abcdefgh" if source.cache.get(key) is not None]
    assert len(kept) <= size
    assert set(keys[-1:]) <= set(kept)


def test_threads_share_it() -> None:
    """Threads that load, replace and forget at the same time break nothing, and leave no more than `size` values."""
    source = Source(size=2)
    acts: list[Callable[[str], object]] = [
        source.load,
        lambda key: source.cache.replace(key, "noted"),
        source.cache.forget,
    ]
    with ThreadPoolExecutor(8) as threads:
        done = [threads.submit(acts[turn % 3], f"key-{turn % 7}") for turn in range(2000)]
    assert [one.exception() for one in done if one.exception() is not None] == []
    assert sum(source.cache.get(f"key-{number}") is not None for number in range(7)) <= 2


def test_many_values_are_loaded_at_once_and_only_what_is_missing() -> None:
    """Cached keys are not asked for again, expired ones are, and none twice; a key without a value is left out."""
    source, asked = Source(size=10), list[list[str]]()

    def load(keys: Sequence[str]) -> dict[str, str]:
        asked.append(list(keys))
        return {key: f"{key} {len(asked)}" for key in keys if key != "nobody"}

    source.cache.get_or_load_many(["a"], load)
    source.now += TTL - 1
    first = source.cache.get_or_load_many(["b", "a", "b", "nobody"], load)
    source.now += 1
    second = source.cache.get_or_load_many(["a", "b", "nobody"], load)
    third = source.cache.get_or_load_many(["a", "b"], load)

    assert asked == [["a"], ["b", "nobody"], ["a", "nobody"]]
    assert first == {"a": "a 1", "b": "b 2"}
    assert second == third == {"a": "a 3", "b": "b 2"}


def test_the_time_of_many_starts_before_loading() -> None:
    """As for one value."""
    source = Source()

    def slowly(keys: Sequence[str]) -> dict[str, str]:
        source.now += TTL - 1
        return dict.fromkeys(keys, "value")

    source.cache.get_or_load_many(["a", "b"], slowly)
    source.now += 1

    assert (source.cache.get("a"), source.cache.get("b")) == (None, None)
