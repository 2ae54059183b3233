"""What a waiting person sees: one line per step, with how long it took."""

import sys
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager

type Write = Callable[[str], object]
"""Takes text as it comes; a line ends with its newline."""


def write_stdout(text: str) -> None:
    """Show text at once, finished line or not."""
    sys.stdout.write(text)
    sys.stdout.flush()


@contextmanager
def step(name: str, write: Write) -> Generator[None]:
    """Say what is being done, and when it is done, how many seconds it took."""
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
