"""The network as a table: which receiver answers what. It replaces posthorn.transport.http.Client."""

from __future__ import annotations

import heapq
import json
from collections.abc import Callable, Hashable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

from posthorn.domain.models import Failure, Outcome, Timings
from posthorn.transport.http import MAX_IN_FLIGHT

if TYPE_CHECKING:
    from posthorn.transport.http import Post

INSTANT = Timings(dns=1, connect=2, tls=3, first_byte=4, total=5)

type Receiver = Callable[[Received], Outcome]


@dataclass(frozen=True)
class Received:
    """One POST as its receiver sees it."""

    host: str
    at: int  # Unix milliseconds
    headers: dict[str, str]  # lowercase names
    body: bytes = field(repr=False)

    @property
    def payload(self) -> dict[str, Any]:
        payload: dict[str, Any] = json.loads(self.body)
        return payload

    @property
    def id(self) -> str:
        return self.headers["webhook-id"]


def answers(status: int, *, headers: tuple[tuple[str, str], ...] = (), snippet: str = "") -> Receiver:
    """Return a receiver that always answers this."""
    return lambda _: Outcome(INSTANT, status=status, address="203.0.113.7", headers=headers, snippet=snippet)


def fails(failure: Failure) -> Receiver:
    """Return a receiver that never answers."""
    return lambda _: Outcome(INSTANT, failure=failure, error="no answer")


def in_turn(*receivers: Receiver) -> Receiver:
    """Return a receiver that behaves like each of these in turn, then like the last."""
    waiting = list(receivers)

    def receive(received: Received) -> Outcome:
        receiver = waiting.pop(0) if len(waiting) > 1 else waiting[0]
        return receiver(received)

    return receive


class Network:
    """All receivers, by host, and every POST that reached one."""

    def __init__(self, clock: Callable[[], int]) -> None:
        self.receivers: dict[str, Receiver] = {}
        self.received: list[Received] = []
        self._clock = clock

    def send[K: Hashable](
        self,
        posts: Iterable[tuple[K, Post]],
        *,
        deadline: float,  # noqa: ARG002 - the client's signature; time does not pass here
    ) -> Iterator[tuple[K, Outcome]]:
        for key, post in posts:
            received = Received(
                host=post.target.host,
                at=self._clock(),
                headers={name.lower(): value for name, value in post.headers},
                body=post.body,
            )
            self.received.append(received)
            yield key, self.receivers[received.host](received)

    def at(self, host: str) -> list[Received]:
        return [received for received in self.received if received.host == host]


class MovableClock(Protocol):
    """A clock that the test sets."""

    now_ms: int


class TimedNetwork(Network):
    """Slow receivers on a virtual clock, with as many concurrent POSTs as the real client makes.

    Every host answers 200 after its latency, or times out if that is longer than the deadline.
    """

    def __init__(self, clock: MovableClock, latencies: dict[str, int]) -> None:
        super().__init__(lambda: clock.now_ms)
        self._timed = clock
        self._latencies = latencies  # milliseconds

    def send[K: Hashable](
        self, posts: Iterable[tuple[K, Post]], *, deadline: float
    ) -> Iterator[tuple[K, Outcome]]:
        source, number = iter(posts), 0
        in_flight: list[tuple[int, int, K, Outcome]] = []
        while True:
            while len(in_flight) < MAX_IN_FLIGHT and (pair := next(source, None)) is not None:
                key, post = pair
                host, number = post.target.host, number + 1
                headers = {name.lower(): value for name, value in post.headers}
                self.received.append(Received(host, self._timed.now_ms, headers, post.body))
                took = min(self._latencies[host], int(deadline * 1000))
                timings = Timings(dns=0, connect=0, tls=0, first_byte=took, total=took)
                outcome = (
                    Outcome(timings, status=200)
                    if took == self._latencies[host]
                    else Outcome(timings, failure=Failure.TIMEOUT, error="no answer in time")
                )
                heapq.heappush(in_flight, (self._timed.now_ms + took, number, key, outcome))
            if not in_flight:
                return
            ends, _, key, outcome = heapq.heappop(in_flight)
            self._timed.now_ms = max(self._timed.now_ms, ends)
            yield key, outcome
