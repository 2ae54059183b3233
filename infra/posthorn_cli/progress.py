"""How far a command is, on standard error: a bar on a terminal, else a line every ten seconds."""

from __future__ import annotations

import sys
import time
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from posthorn_cli.output import note

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

INTERVAL_SECONDS: Final = 10


@dataclass(frozen=True, slots=True)
class Step:
    """How far the work is."""

    done: int
    total: int | None  # None: nobody knows
    text: str  # what was found so far


@contextmanager
def shown(*, clock: Callable[[], float] = time.monotonic) -> Iterator[Callable[[Step], None]]:
    """Give the function to report steps to."""
    if not sys.stderr.isatty():
        yield _lines(clock)
        return
    from rich.console import Console
    from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

    bar = Progress(
        SpinnerColumn(),
        BarColumn(),
        TextColumn("{task.description}", markup=False),
        TimeElapsedColumn(),
        console=Console(stderr=True),
        transient=True,
        # lines for a terminal are printed above the bar; what goes into a pipe is none of its business
        redirect_stdout=sys.stdout.isatty(),
    )
    with bar:
        task = bar.add_task("", total=None)
        yield lambda step: bar.update(task, completed=step.done, total=step.total, description=step.text)


def _lines(clock: Callable[[], float]) -> Callable[[Step], None]:
    last = clock()

    def report(step: Step) -> None:
        nonlocal last
        if clock() - last >= INTERVAL_SECONDS:
            last = clock()
            note(step.text)

    return report
