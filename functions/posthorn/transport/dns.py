"""Looks up receivers' names in DNS and vets the addresses.

`getaddrinfo` blocks its thread and has no timeout. So it runs in threads of our own, where many names are looked up
concurrently and callers can stop waiting.
"""

import socket
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable
from typing import Final

from posthorn.domain.errors import NameNotResolved, RefusedTarget
from posthorn.transport.targets import Policy, Target, check_address, rule_against

MAX_THREADS: Final = 64
"""Concurrent lookups. Measured: enough that eight names that never resolve do not delay a hundred good ones."""

SLOW_SECONDS: Final = 1.0
"""A name whose lookup took this long is slow: all slow names share a quarter of the threads from then on."""

_MAX_SLOW_NAMES: Final = 4096  # per process

type Resolver = Callable[[str], Iterable[str]]
"""Takes a host name without the root dot and returns its addresses, or raises `NameNotResolved`. May block."""


def system_resolver(host: str) -> tuple[str, ...]:
    """Return a name's IPv4 addresses from the system resolver, in its order.

    IPv4 only: a function outside a VPC reaches nothing else, and most address tricks need IPv6.
    """
    # The root dot bypasses the search list, which would try <host>.<region>.compute.internal after an NXDOMAIN.
    # A single label passes the guard only on a local stage; it comes from a hosts file, which has no root dot.
    name = host + "." if "." in host else host
    try:
        found = socket.getaddrinfo(name, None, socket.AF_INET, socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        if isinstance(error, socket.gaierror) and error.errno == socket.EAI_AGAIN:
            raise NameNotResolved(f"DNS did not answer for {host}") from error
        raise NameNotResolved(f"DNS has no IPv4 address for {host}") from error
    return tuple(str(place[0]) for *_, place in found)


def vet(target: Target, answers: Iterable[str], policy: Policy) -> tuple[str, ...]:
    """Return the answers in order, without duplicates; one blocked address refuses the name as a whole."""
    addresses = tuple(dict.fromkeys(answers))
    if not addresses:
        raise NameNotResolved(f"DNS has no IPv4 address for {target.host}")
    for address in addresses:
        # The error names the rule but not the address: inside a VPC, the answer could come from a private zone.
        if rule := rule_against(address, policy):
            raise RefusedTarget(
                f"{target.host} must not resolve to a non-public address ({rule}).", code="blocked_address"
            )
    return addresses


def resolve(
    target: Target, policy: Policy, *, timeout: float, resolver: Resolver = system_resolver
) -> tuple[str, ...]:
    """Return the addresses that a delivery to this target may dial, waiting at most `timeout` seconds.

    Raises `RefusedTarget` or `NameNotResolved`. For a single name; the HTTP client looks up many concurrently.
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
    """The lookup of one name, and the callbacks that wait for it."""

    def __init__(self, host: str, *, is_slow: bool) -> None:
        self.host = host
        self.is_slow = is_slow  # whether the previous lookup was slow
        self.finished_at: float | None = None  # on the monotonic clock
        self.waiting: list[Callable[[], None]] = []
        self._answers: tuple[str, ...] = ()
        self._error: Exception | None = None

    def answers(self) -> tuple[str, ...]:
        """Return the unvetted addresses, or raise the resolver's error."""
        if self.finished_at is None:
            raise NameNotResolved(f"DNS did not answer for {self.host} in time")
        if self._error is not None:
            raise self._error
        return self._answers

    def run(self, resolver: Resolver, clock: Callable[[], float]) -> None:
        try:
            self._answers = tuple(resolver(self.host))
        except Exception as error:  # noqa: BLE001  # raised in the threads that wait, not in this one
            self._error = error
        self.finished_at = clock()


class Lookups:
    """Lookups in the background: at most `max_threads` at once, and one per name however many callers ask for it.

    Threads start on demand, and none keeps the interpreter from exiting. Slow names wait in a queue of their own, so
    that most threads are free for the others, however many slow names there are.
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
        self._slow: dict[str, None] = {}  # slow names, oldest first
        self._threads = 0
        self._idle = 0
        self._closed = False

    def start(self, host: str, done: Callable[[], None]) -> Lookup:
        """Look up a name, or join its running lookup; `done` is called from another thread."""
        with self._changed:
            lookup = self._open.get(host)
            if lookup is None:
                lookup = self._open[host] = Lookup(host, is_slow=host in self._slow)
                (self._queued_slow if lookup.is_slow else self._queued).append(lookup)
                self._rouse()
            lookup.waiting.append(done)
            return lookup

    def cancel(self, lookup: Lookup, done: Callable[[], None]) -> None:
        """Stop waiting; a queued lookup that no one waits for is not started."""
        with self._changed:
            if done in lookup.waiting:
                lookup.waiting.remove(done)

    def close(self) -> None:
        """Let the threads end as soon as possible."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()

    def _rouse(self) -> None:
        # A notified thread that has not woken up yet still counts as idle, and its lookup as queued.
        ready = len(self._queued) + min(len(self._queued_slow), self._max_slow - self._running_slow)
        if self._idle >= ready:
            self._changed.notify()
        elif self._threads < self._max_threads:
            # Not a ThreadPoolExecutor: the interpreter would wait for its threads before it exits.
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
