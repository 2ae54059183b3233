"""Rates of workspaces. A process takes tokens of a shared bucket in advance, and hands them out without further calls.

The sum over all processes is at most what the bucket gives: `limit` x time + `burst`. A process holds at most the
tokens of a second, and drops them after ten.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Final

from posthorn.aws.clients import at_once
from posthorn.domain.compare_and_set import compare_and_set
from posthorn.domain.errors import Unavailable
from posthorn.domain.limits import MAX_BATCH
from posthorn.domain.token_bucket import MICROSECONDS, TokenBucket

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from posthorn.stores.token_buckets import TokenBuckets

BURST_SECONDS: Final = 10

_HELD_FOR: Final = BURST_SECONDS * MICROSECONDS
_BETWEEN: Final = MICROSECONDS  # calls for one bucket
_REMEMBERED: Final = 5000


@dataclass(frozen=True, slots=True)
class Rate:
    """A limit on a rate. `ahead` is how many tokens a process may take in advance."""

    limit_name: str
    bucket: TokenBucket
    ahead: int = 0


@dataclass(frozen=True, slots=True)
class _Held:
    """The tokens that this process has taken and not used, and the bucket as it saw it then."""

    bucket: TokenBucket
    tokens: int = 0
    until: int = 0
    asked_at: int = 0
    taken_until: int = 0

    def usable(self, now: int) -> int:
        return self.tokens if now < self.until else 0

    def wait(self, tokens: int, now: int) -> int:
        """Return the time until there are this many tokens, if nobody else takes any."""
        wait = self.bucket.wait(tokens - self.usable(now), self.taken_until, now)
        if now + wait < self.until:
            return wait
        return self.bucket.wait(tokens, self.taken_until, now)  # those it holds will be dropped by then


def rate_of_events(limit: int) -> Rate:
    """Return the rate of published events; a full batch fits into the burst."""
    bucket = TokenBucket(limit, MICROSECONDS, burst=max(BURST_SECONDS * limit, MAX_BATCH))
    return Rate("eventsPerSecond", bucket, ahead=limit)


def rate_of_test_sends(limit: int) -> Rate:
    return Rate("testSendsPerMinute", TokenBucket(limit, 60 * MICROSECONDS, burst=limit))


class Rates:
    """The rates of the workspaces that this process works for."""

    def __init__(self, store: TokenBuckets, *, clock: Callable[[], int]) -> None:
        self._store = store
        self._clock = clock
        self._held: dict[tuple[str, str], _Held] = {}  # by workspace and limit; the oldest first
        self._lock = threading.Lock()

    def take(self, wanted: Mapping[str, tuple[Rate, int]]) -> dict[str, int]:
        """Take tokens for each workspace: for all, or for none.

        Returns the seconds to wait for each workspace that has too few tokens; empty if all were taken.
        """
        with self._lock:
            now = self._clock() * 1000
            checks = at_once(
                {
                    workspace: partial(self._ensure, workspace, rate, tokens, now)
                    for workspace, (rate, tokens) in wanted.items()
                }
            )
            waits = {workspace: check.result() for workspace, check in checks.items()}
            if any(waits.values()):
                return {workspace: -(-wait // MICROSECONDS) for workspace, wait in waits.items() if wait}
            for workspace, (rate, tokens) in wanted.items():
                held = self._held[workspace, rate.limit_name]
                self._held[workspace, rate.limit_name] = replace(held, tokens=held.tokens - tokens)
            self._forget_the_oldest()
            return {}

    def _ensure(self, workspace: str, rate: Rate, tokens: int, now: int) -> int:
        """Hold at least this many tokens; returns the time to wait if there are not as many."""
        before = self._held.get((workspace, rate.limit_name))
        if before is None or before.bucket != rate.bucket:
            before = _Held(rate.bucket)
        elif before.usable(now) >= tokens:
            return 0
        elif rate.ahead and now - before.asked_at < _BETWEEN:
            return max(before.asked_at + _BETWEEN - now, before.wait(tokens, now))
        held = compare_and_set(
            lambda: self._ask(workspace, rate, tokens, before, now),
            contended=Unavailable("take tokens", "Contended"),
        )
        self._held.pop((workspace, rate.limit_name), None)
        self._held[workspace, rate.limit_name] = held
        return 0 if held.usable(now) >= tokens else held.wait(tokens, now)

    def _ask(self, workspace: str, rate: Rate, tokens: int, before: _Held, now: int) -> _Held | None:
        """Take what is missing and some more from the bucket, or nothing; None if others took it meanwhile.

        At most half of what is left is taken in advance, so that other processes find tokens, too.
        """
        bucket = rate.bucket
        taken_until = self._store.taken_until(workspace, rate.limit_name)
        there = before.usable(now)
        available, missing = bucket.available(taken_until, now), tokens - there
        if available < missing:
            return replace(before, asked_at=now, taken_until=taken_until)
        share = missing + min(rate.ahead, (available - missing) // 2)
        if not self._store.take(workspace, rate.limit_name, bucket, share, taken_until=taken_until, now=now):
            return None
        after = bucket.start(taken_until, now) + bucket.cost(share)
        return _Held(bucket, there + share, until=now + _HELD_FOR, asked_at=now, taken_until=after)

    def _forget_the_oldest(self) -> None:
        while len(self._held) > _REMEMBERED:
            del self._held[next(iter(self._held))]
