"""One stack per state directory.

The kernel holds the lock, so it ends with its process and is never stale.
"""

import fcntl
import os
from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path

from infra.local.errors import AlreadyRunning


@contextmanager
def held_lock(path: Path) -> Generator[Callable[[str], None]]:
    """Hold the lock during the block; the yielded function sets the holder's description."""
    with path.open("a+") as file:  # "a" keeps the holder's description

        def tell(words: str) -> None:
            file.truncate(0)
            file.write(words)
            file.flush()

        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            file.seek(0)
            raise AlreadyRunning(f"a stack is already running: {file.read()}") from error
        tell(f"process {os.getpid()}, starting")
        try:
            yield tell
        finally:
            tell("")
