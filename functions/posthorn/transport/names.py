"""What a receiver's name resolves to, and whether a delivery may go there.

`getaddrinfo` knows no deadline and blocks its thread. So it runs in threads of our own, where many names are looked up
at once and whoever asked can stop waiting.
"""

import socket
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable
from typing import Final

from posthorn.domain.errors import NameNotResolved, RefusedTarget
from posthorn.transport.addresses import Policy, Target, check_address, rule_against

MAX_THREADS: Final = 64
"""Lookups at once. Measured: enough to keep eight names that never answer from holding up a hundred good ones."""

SLOW_SECONDS: Final = 1.0
"""A name that kept its thread for this long has to share a quarter of the threads with its kind the next time."""

_MAX_SLOW_NAMES: Final = 4096  # remembered per process

type Resolver = Callable[[str], Iterable[str]]
"""Takes a host name without root dot, gives its addresses or raises NameNotResolved. May block."""


def system_resolver(host: str) -> tuple[str, ...]:
    """Ask the system for a name's IPv4 addresses, in its order.

    IPv4 only: a function outside a VPC reaches nothing else, and most tricks with addresses need IPv6.
    """
    # The root dot keeps the search list out, which would try <host>.<region>.compute.internal after an NXDOMAIN.
    # A single label passes the guard only on a local stage, where it comes from a hosts file and a dot would hide it.
    name = host + "." if "." in host else host
    try:
        found = socket.getaddrinfo(name, None, socket.AF_INET, socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        if isinstance(error, socket.gaierror) and error.errno == socket.EAI_AGAIN:
            raise NameNotResolved(f"DNS gave no answer for {host}") from error
        raise NameNotResolved(f"DNS knows no IPv4 address of {host}") from error
    return tuple(str(place[0]) for *_, place in found)


def vet(target: Target, answers: Iterable[str], policy: Policy) -> tuple[str, ...]:
    """Return the answers in their order, each once; one bad answer refuses the name as a whole."""
    addresses = tuple(dict.fromkeys(answers))
    if not addresses:
        raise NameNotResolved(f"DNS knows no IPv4 address of {target.host}")
    for address in addresses:
        # Says which rule and not which address: inside a VPC the answer could come from a private zone.
        if rule := rule_against(address, policy):
            raise RefusedTarget(
                f"{target.host} resolves to an address that is not public ({rule})", code="blocked_address"
            )
    return addresses


def resolve(
    target: Target, policy: Policy, *, timeout: float, resolver: Resolver = system_resolver
) -> tuple[str, ...]:
    """Return the addresses that a delivery to this target may dial, waiting at most `timeout` seconds.

    Raises RefusedTarget or NameNotResolved. For one name at a time; the HTTP client looks many up at once.
    """
    if target.address is not None:
        check_address(target.address, policy)
        return (target.address,)
    answered = threading.Event()
    lookups = Lookups(resolver, max_threads=1)
    lookup = lookups.start(target.host, answered.set)
    answered.wait(timeout)
    lookups.close()
    return vet(target, lookup.answers(), policy)


class Lookup:
    """The lookup of one name, and who waits for it."""

    def __init__(self, host: str, *, is_slow: bool) -> None:
        self.host = host
        self.is_slow = is_slow  # it was, the last time
        self.finished_at: float | None = None  # on the monotonic clock
        self.waiting: list[Callable[[], None]] = []
        self._answers: tuple[str, ...] = ()
        self._error: Exception | None = None

    def answers(self) -> tuple[str, ...]:
        """Return the addresses, none of them vetted, or raise what the resolver raised."""
        if self.finished_at is None:
            raise NameNotResolved(f"DNS gave no answer for {self.host} in time")
        if self._error is not None:
            raise self._error
        return self._answers

    def run(self, resolver: Resolver, clock: Callable[[], float]) -> None:
        try:
            self._answers = tuple(resolver(self.host))
        except Exception as error:  # noqa: BLE001  # belongs to those who wait, not to the thread
            self._error = error
        self.finished_at = clock()


class Lookups:
    """Lookups in the background: at most `max_threads` at once, and one per name however many ask for it.

    The threads are started on demand, and none of them keeps the interpreter from exiting. Names that were slow wait
    in a line of their own, so that however many there are, most threads are for the others.
    """

    def __init__(
        self,
        resolver: Resolver,
        *,
        max_threads: int = MAX_THREADS,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._resolver = resolver
        self._max_threads = max_threads
        self._max_slow = max(1, max_threads // 4)
        self._clock = clock
        self._changed = threading.Condition()
        self._open: dict[str, Lookup] = {}  # queued or running
        self._queued: deque[Lookup] = deque()
        self._queued_slow: deque[Lookup] = deque()
        self._running_slow = 0
        self._slow: dict[str, None] = {}  # names, the one remembered longest first
        self._threads = 0
        self._idle = 0
        self._closed = False

    def start(self, host: str, done: Callable[[], None]) -> Lookup:
        """Look a name up, or join the lookup of it that is under way; `done` is called from another thread."""
        with self._changed:
            lookup = self._open.get(host)
            if lookup is None:
                lookup = self._open[host] = Lookup(host, is_slow=host in self._slow)
                (self._queued_slow if lookup.is_slow else self._queued).append(lookup)
                self._rouse()
            lookup.waiting.append(done)
            return lookup

    def cancel(self, lookup: Lookup, done: Callable[[], None]) -> None:
        """Stop waiting; a lookup that nobody waits for any more is not begun."""
        with self._changed:
            if done in lookup.waiting:
                lookup.waiting.remove(done)

    def close(self) -> None:
        """Let the threads end as soon as they can."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()

    def _rouse(self) -> None:
        # A thread that was notified and did not wake up yet still counts as idle, and what it will take as queued.
        ready = len(self._queued) + min(len(self._queued_slow), self._max_slow - self._running_slow)
        if self._idle >= ready:
            self._changed.notify()
        elif self._threads < self._max_threads:
            # Not a ThreadPoolExecutor: the interpreter waits for its threads before it exits.
            threading.Thread(target=self._work, name="dns", daemon=True).start()
            self._threads += 1

    def _work(self) -> None:
        while (lookup := self._take()) is not None:
            began = self._clock()
            lookup.run(self._resolver, self._clock)
            with self._changed:
                del self._open[lookup.host]
                self._running_slow -= lookup.is_slow
                self._remember(lookup.host, is_slow=self._clock() - began >= SLOW_SECONDS)
                waiting = tuple(lookup.waiting)
            for done in waiting:
                done()

    def _remember(self, host: str, *, is_slow: bool) -> None:
        self._slow.pop(host, None)
        if is_slow:
            self._slow[host] = None
            if len(self._slow) > _MAX_SLOW_NAMES:
                del self._slow[next(iter(self._slow))]

    def _next(self) -> Lookup | None:
        if self._queued:
            return self._queued.popleft()
        if self._queued_slow and self._running_slow < self._max_slow:
            return self._queued_slow.popleft()
        return None

    def _take(self) -> Lookup | None:
        with self._changed:
            while True:
                while (lookup := self._next()) is not None:
                    if lookup.waiting:
                        self._running_slow += lookup.is_slow
                        return lookup
                    del self._open[lookup.host]
                if self._closed:
                    return None
                self._idle += 1
                self._changed.wait()
                self._idle -= 1
