"""Changes of a row that other writers change, too."""

from __future__ import annotations

import pytest

from posthorn.domain.compare_and_set import TRIES, compare_and_set


class ContendedError(Exception):
    """Raised by the code under test on behalf of its caller."""


class Counter:
    """A row that others change a number of times before they leave it alone."""

    def __init__(self, interruptions: int) -> None:
        self.value = 0
        self.interruptions = interruptions

    def add_one(self) -> int | None:
        read = self.value
        if self.interruptions:
            self.interruptions -= 1
            self.value += 10
        if self.value != read:
            return None
        self.value = read + 1
        return self.value


@pytest.mark.parametrize("interruptions", range(TRIES))
def test_a_change_is_made_on_top_of_the_changes_of_others(interruptions: int) -> None:
    """Each try starts from the row as it is, so no change is lost."""
    row = Counter(interruptions)
    assert compare_and_set(row.add_one, contended=ContendedError()) == interruptions * 10 + 1


def test_it_gives_up_at_last() -> None:
    """Nothing is written then, and the caller's error is raised."""
    row = Counter(interruptions=TRIES)
    with pytest.raises(ContendedError):
        compare_and_set(row.add_one, contended=ContendedError())
    assert row.value == TRIES * 10


@pytest.mark.parametrize("result", [False, 0, ""])
def test_a_false_result_is_a_result(result: object) -> None:
    """Only None means that the write lost."""
    assert compare_and_set(lambda: result, contended=ContendedError()) == result
