"""Kills the processes that run functions, at random and without warning, as Lambda may."""

from __future__ import annotations

import os
import random
import signal
import threading
import time
from collections import Counter
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

PAUSE: Final = (0.5, 2.0)  # seconds between two kills
DEATHS: Final = 30  # then stop, or a slow machine would never finish
CHILDHOOD: Final = 4.0
"""Minimum lifetime of a worker in seconds. One killed during its start has done nothing that could be lost."""
_NAME: Final = b"AWS_LAMBDA_FUNCTION_NAME="


@contextmanager
def dying_workers(emulator: int, functions: Collection[str], seed: int) -> Iterator[Counter[str]]:
    """Kill workers of these functions during the block; count the kills by function.

    `emulator` is the process whose children the workers are; no other process is touched.
    """
    random_bytes, done, died = random.Random(seed), threading.Event(), Counter[str]()  # noqa: S311 - not used for security

    def kill() -> None:
        while died.total() < DEATHS and not done.wait(random_bytes.uniform(*PAUSE)):
            workers = [
                found for found in _workers(emulator) if found[1] in functions and _age(found[0]) > CHILDHOOD
            ]
            if not workers:
                continue
            process, function = random_bytes.choice(workers)
            try:
                os.kill(process, signal.SIGKILL)
            except ProcessLookupError:
                continue  # it has just ended by itself
            died[function] += 1

    killer = threading.Thread(target=kill)
    killer.start()
    try:
        yield died
    finally:
        done.set()
        killer.join()


def _workers(emulator: int) -> list[tuple[int, str]]:
    """Return the emulator's children that run functions, with the functions' names."""
    found: list[tuple[int, str]] = []
    for children in Path(f"/proc/{emulator}/task").glob("*/children"):
        for child in children.read_text().split():
            try:
                variables = Path(f"/proc/{child}/environ").read_bytes().split(b"\0")
            except OSError:
                continue  # gone already
            names = [one.removeprefix(_NAME).decode() for one in variables if one.startswith(_NAME)]
            found += [(int(child), name) for name in names]
    return found


def _age(process: int) -> float:
    """Return the age of a process in seconds, or 0 if it is gone."""
    try:
        # proc_pid_stat(5): the name may hold anything; the 22nd field is the start in clock ticks since boot
        fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return 0.0
    started = int(fields[19]) / os.sysconf("SC_CLK_TCK")
    return time.clock_gettime(time.CLOCK_BOOTTIME) - started
