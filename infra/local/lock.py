"""One stack per state directory. The lock is the kernel's, so it ends with its holder and no stale file blocks."""

import fcntl
import os
from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path

from infra.local.errors import AlreadyRunning


@contextmanager
def held_lock(path: Path) -> Generator[Callable[[str], None]]:
    """Hold the lock for the length of the block; the value tells others what holds it."""
    with path.open("a+") as file:  # "a" leaves the holder's words alone

        def tell(words: str) -> None:
            file.truncate(0)
            file.write(words)
            file.flush()

        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            file.seek(0)
            raise AlreadyRunning(f"a stack runs already: {file.read()}") from error
        tell(f"process {os.getpid()}, starting")
        try:
            yield tell
        finally:
            tell("")
