"""Windows of dead letters, merged, cover the same time once."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from posthorn_cli.redispatch_window import RedispatchWindow, merge

TIMES = st.integers(0, 40)
WINDOWS = st.lists(
    st.tuples(TIMES, TIMES).map(lambda ends: RedispatchWindow(min(ends), max(ends))), max_size=8
)


def _milliseconds(windows: list[RedispatchWindow]) -> list[int]:
    return [time for one in windows for time in range(one.since_ms, one.until_ms + 1)]


@given(WINDOWS)
def test_each_millisecond_is_read_once(windows: list[RedispatchWindow]) -> None:
    """Merged windows hold exactly the milliseconds of the windows, none of them twice, in order."""
    assert _milliseconds(merge(windows)) == sorted(set(_milliseconds(windows)))


@given(WINDOWS)
def test_there_are_as_few_windows_as_possible(windows: list[RedispatchWindow]) -> None:
    """No two merged windows touch, and each window is covered by exactly one of them."""
    merged = merge(windows)

    assert all(later.since_ms - earlier.until_ms > 1 for earlier, later in pairwise(merged))
    assert [sum(one.covers(window) for one in merged) for window in windows] == [1] * len(windows)
