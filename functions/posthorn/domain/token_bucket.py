"""A token bucket as one timestamp: the time up to which the tokens were taken.

Tokens accrue evenly. Those from `taken_until` to now can be taken, and never more than `burst` of them. Times are in
microseconds: a limit can be a million a second.
"""

from dataclasses import dataclass
from typing import Final

MICROSECONDS: Final = 1_000_000


@dataclass(frozen=True, slots=True)
class TokenBucket:
    """`limit` tokens in every `period`, of which at most `burst` are kept."""

    limit: int
    period: int
    burst: int

    def cost(self, tokens: int) -> int:
        """Return the time in which this many tokens accrue."""
        return -(-tokens * self.period // self.limit)

    def start(self, taken_until: int, now: int) -> int:
        """Return the time from which tokens can be taken: older ones were never kept."""
        return max(taken_until, now - self.cost(self.burst))

    def available(self, taken_until: int, now: int) -> int:
        return max(0, (now - self.start(taken_until, now)) * self.limit // self.period)

    def wait(self, tokens: int, taken_until: int, now: int) -> int:
        """Return the time until this many tokens are available; 0 if they are."""
        return max(0, self.start(taken_until, now) + self.cost(tokens) - now)
