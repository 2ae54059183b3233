"""The HTTP client: makes many POSTs concurrently, each to an address that was vetted for it."""

import itertools
import time
from collections import deque
from collections.abc import Callable, Generator, Iterable
from functools import partial
from typing import Final

import certifi
import pycurl

from posthorn.domain.errors import NameNotResolved, RefusedTarget
from posthorn.domain.models import Failure, Outcome, Timings
from posthorn.transport.dns import Lookup, Lookups, Resolver, system_resolver, vet
from posthorn.transport.exchange import Exchange, OpenSocket, open_socket
from posthorn.transport.loop import Loop
from posthorn.transport.posts import Post
from posthorn.transport.targets import Policy

__all__ = ["Client", "Post"]

MAX_IN_FLIGHT: Final = 200
"""With as many idle connections, 64 lookups and boto3's connections, well below a function's 1,024 descriptors."""

ANSWER_SECONDS: Final = 1.0
"""How long a batch reuses the answer of a DNS lookup; every attempt still vets the addresses."""

BODY_SECONDS: Final = 2.0
"""How long the body is read after the head. The status decides by then; only the log shows more."""

_FOREVER: Final = 3600.0
_PULL_SECONDS: Final = 0.005  # for taking new requests before those in flight get their turn


class Client:
    """Makes POSTs in the calling thread. One per process: it keeps connections, trust store and lookup threads.

    `ca_file` has the root certificates to trust, by default those of certifi.
    """

    def __init__(
        self,
        *,
        policy: Policy,
        resolver: Resolver = system_resolver,
        ca_file: str | None = None,
        max_in_flight: int = MAX_IN_FLIGHT,
        open_socket: OpenSocket = open_socket,
    ) -> None:
        self._policy = policy
        self._max_in_flight = max_in_flight
        make = partial(Exchange, policy, ca_file=ca_file or certifi.where(), open_socket=open_socket)
        self._exchanges = _Exchanges(make)
        self._lookups = Lookups(resolver)
        self._loop = Loop(max_connections=max_in_flight)
        self._sending = False

    def send[K](self, posts: Iterable[tuple[K, Post]], *, deadline: float) -> Generator[tuple[K, Outcome]]:
        """Make all POSTs and yield each outcome as it comes, with the key that was given with the POST.

        Items are taken from `posts` only when there is room, so it can sign at the last moment and can end early.
        `deadline` is in seconds and starts for each POST when it is taken. Transfers progress only while the caller
        waits for the next outcome, so long work belongs in another thread. Whatever a receiver does becomes an
        outcome; an exception that `posts` raises is re-raised after everything in flight has its outcome.
        """
        if self._sending:
            raise RuntimeError("this client is already sending")
        self._sending = True
        batch = _Transfers[K](self._loop, self._lookups, self._exchanges, self._policy, deadline)
        source, more, broken = iter(posts), True, None
        try:
            while more or batch.in_flight:
                until = time.monotonic() + _PULL_SECONDS
                while more and batch.in_flight < self._max_in_flight and time.monotonic() < until:
                    try:
                        key, post = next(source)
                    except StopIteration:
                        more = False
                    except Exception as error:  # noqa: BLE001  # raised below, after the attempts in flight
                        more, broken = False, error
                    else:
                        batch.start(key, post)
                if batch.in_flight:
                    yield from batch.turn(wait=not more or batch.in_flight >= self._max_in_flight)
            if broken is not None:
                raise broken
        finally:
            batch.abandon()
            self._sending = False

    def close(self) -> None:
        """Close all connections and stop the lookup threads."""
        self._lookups.close()
        self._loop.close()


class _Attempt[K]:
    """A POST between its start and its outcome."""

    __slots__ = ("key", "post", "started_at")

    def __init__(self, key: K, post: Post) -> None:
        self.key = key
        self.post = post
        self.started_at = time.monotonic()


class _Exchanges:
    """A pool of handles: setting one up costs as much as a request."""

    def __init__(self, make: Callable[[], Exchange]) -> None:
        self._make = make
        self._spare: list[Exchange] = []

    def take(self) -> Exchange:
        return self._spare.pop() if self._spare else self._make()

    def give_back(self, exchange: Exchange) -> None:
        self._spare.append(exchange)


class _Transfers[K]:
    """The attempts of one `send`: each is a DNS lookup first, then an exchange, then an outcome."""

    def __init__(
        self, loop: Loop, lookups: Lookups, exchanges: _Exchanges, policy: Policy, deadline: float
    ) -> None:
        self._loop = loop
        self._lookups = lookups
        self._exchanges = exchanges
        self._policy = policy
        self._deadline = deadline
        self._resolving: dict[
            _Attempt[K], tuple[Lookup, Callable[[], None]]
        ] = {}  # the one that has waited longest is first
        self._resolved: deque[_Attempt[K]] = deque()  # filled by other threads
        self._answered: dict[str, Lookup] = {}  # completed lookups of this batch by name
        self._exchanging: dict[pycurl.Curl, tuple[_Attempt[K], Exchange]] = {}
        # whose head is in, and until when the rest is read; the first is due first
        self._reading: deque[tuple[float, _Attempt[K], Exchange]] = deque()
        self._ended: list[tuple[K, Outcome]] = []

    @property
    def in_flight(self) -> int:
        return len(self._resolving) + len(self._exchanging) + len(self._ended)

    def start(self, key: K, post: Post) -> None:
        attempt = _Attempt(key, post)
        if (address := post.target.address) is not None:
            self._connect(attempt, lambda: (address,), attempt.started_at)
            return
        known = self._answered.get(post.target.host)
        if known is not None and (known.finished_at or 0.0) + ANSWER_SECONDS > attempt.started_at:
            self._connect(attempt, known.answers, attempt.started_at)
            return
        done = partial(self._wake_for, attempt)
        self._resolving[attempt] = self._lookups.start(post.target.host, done), done

    def turn(self, *, wait: bool) -> list[tuple[K, Outcome]]:
        """Advance all attempts and return the outcomes; `wait` blocks until something has happened."""
        timeout = 0.0
        if wait and not self._ended:
            timeout = max(0.0, self._next_event_at() - time.monotonic())
        for curl, code in self._loop.turn(timeout):
            self._end(curl, code)
        while self._reading and self._reading[0][0] <= time.monotonic():
            _, attempt, exchange = self._reading.popleft()
            if self._exchanging.get(exchange.curl) == (attempt, exchange):  # else it has ended
                self._end(exchange.curl, pycurl.E_OPERATION_TIMEDOUT)
        while self._resolved:
            attempt = self._resolved.popleft()
            if attempt in self._resolving:  # or else its deadline has passed
                lookup, _ = self._resolving.pop(attempt)
                self._answered[lookup.host] = lookup
                self._connect(attempt, lookup.answers, lookup.finished_at or time.monotonic())
        while (
            self._resolving and self._expires_at(attempt := next(iter(self._resolving))) <= time.monotonic()
        ):
            lookup, done = self._resolving.pop(attempt)
            self._lookups.cancel(lookup, done)
            self._connect(attempt, lookup.answers, time.monotonic())
        ended, self._ended = self._ended, []
        return ended

    def abandon(self) -> None:
        """Drop the attempts that are still in flight; none if all have their outcomes."""
        for lookup, done in self._resolving.values():
            self._lookups.cancel(lookup, done)
        for curl in self._exchanging:
            self._loop.remove(curl)
            curl.close()
        self._resolving.clear()
        self._exchanging.clear()

    def _next_event_at(self) -> float:
        """Return when something is due that no socket tells of, on the monotonic clock."""
        due = [self._expires_at(oldest) for oldest in itertools.islice(self._resolving, 1)]
        due += [until for until, _, _ in itertools.islice(self._reading, 1)]
        return min(due, default=time.monotonic() + _FOREVER)

    def _end(self, curl: pycurl.Curl, code: int) -> None:
        attempt, exchange = self._exchanging.pop(curl)
        self._loop.remove(curl)
        self._ended.append((attempt.key, exchange.end(code)))
        self._exchanges.give_back(exchange)

    def _read_on(self, attempt: _Attempt[K], exchange: Exchange) -> None:
        self._reading.append((time.monotonic() + BODY_SECONDS, attempt, exchange))

    def _connect(
        self, attempt: _Attempt[K], answers: Callable[[], Iterable[str]], resolved_at: float
    ) -> None:
        post, started_at = attempt.post, attempt.started_at
        try:
            addresses = vet(post.target, answers(), self._policy)
        except RefusedTarget as refused:
            self._fail(attempt, Failure.BLOCKED_ADDRESS, refused.detail, resolved_at)
        except NameNotResolved as unknown:
            self._fail(attempt, Failure.DNS, str(unknown), resolved_at)
        else:
            exchange = self._exchanges.take()
            exchange.begin(
                post,
                addresses,
                started_at=started_at,
                resolved_at=resolved_at,
                deadline=self._deadline,
                on_head=partial(self._read_on, attempt, exchange),
            )
            self._exchanging[exchange.curl] = attempt, exchange
            self._loop.add(exchange.curl)

    def _fail(self, attempt: _Attempt[K], failure: Failure, error: str, resolved_at: float) -> None:
        dns = round((resolved_at - attempt.started_at) * 1000)
        timings = Timings(dns=dns, connect=0, tls=0, first_byte=0, total=dns)
        self._ended.append((attempt.key, Outcome(timings=timings, failure=failure, error=error)))

    def _expires_at(self, attempt: _Attempt[K]) -> float:
        return attempt.started_at + self._deadline

    def _wake_for(self, attempt: _Attempt[K]) -> None:
        self._resolved.append(attempt)
        self._loop.wake()
