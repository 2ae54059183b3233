"""Work on the records of a batch: an outage returns the records it hit, and no others."""

from __future__ import annotations

from concurrent.futures import Future
from typing import Any

import pytest

from posthorn.aws.batch_response import failed_records
from posthorn.domain.errors import Unavailable


def done(error: Exception | None = None) -> Future[Any]:
    work: Future[Any] = Future()
    if error is None:
        work.set_result(None)
    else:
        work.set_exception(error)
    return work


def test_an_outage_returns_the_records_it_hit() -> None:
    """Each outage is reported; work without records fails none."""
    first, second, third = (Unavailable("put_item", str(number)) for number in range(3))
    reported: list[Unavailable] = []

    failed = failed_records(
        [(("a",), done()), (("b", "c"), done(first)), (("c",), done(second)), ((), done(third))],
        reported.append,
    )

    assert failed == {"b", "c"}
    assert reported == [first, second, third]


def test_a_bug_is_no_outage() -> None:
    """It fails the whole batch, instead of hiding behind a retry."""
    with pytest.raises(ZeroDivisionError):
        failed_records([(("a",), done(ZeroDivisionError()))], lambda _: None)
