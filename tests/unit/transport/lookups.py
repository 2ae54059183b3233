"""Lookups for tests: closed at the end, however the test ends."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from posthorn.transport.dns import Lookups, Resolver


@contextmanager
def lookups(
    resolver: Resolver, *, max_threads: int = 8, clock: Callable[[], float] = time.monotonic
) -> Iterator[Lookups]:
    running = Lookups(resolver, max_threads=max_threads, clock=clock)
    try:
        yield running
    finally:
        running.close()
