"""Read, change, and write if the row has not changed meanwhile; start over if it has."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable

TRIES: Final = 5


def compare_and_set[T](attempt: Callable[[], T | None], *, contended: Exception, tries: int = TRIES) -> T:
    """Return the result of the first attempt that has one; raise `contended` if all lose to concurrent writes.

    An attempt reads the row, changes it and writes it on the condition that it is as it was read. It returns None if
    that condition fails.
    """
    for _ in range(tries):
        if (result := attempt()) is not None:
            return result
    raise contended
