"""Progress output: one line per step, with its duration."""

import sys
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager

type Write = Callable[[str], object]
"""Writes text immediately; a line ends with its newline."""


def write_stdout(text: str) -> None:
    """Show text at once, even without a newline."""
    sys.stdout.write(text)
    sys.stdout.flush()


@contextmanager
def step(name: str, write: Write) -> Generator[None]:
    """Print the step's name when it starts, and its duration when it ends."""
    write(f"{name} ... ")
    started = time.monotonic()
    done = "interrupted"
    try:
        yield
        done = "done"
    except Exception:
        done = "failed"
        raise
    finally:
        elapsed = f"{time.monotonic() - started:.1f} s"
        write(f"{elapsed}\n" if done == "done" else f"{done} after {elapsed}\n")
