"""What a run through the handlers asks of AWS, as counts.json has it: `make counts` writes it from a real run."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, Final

COUNTS: Final = Path(__file__).parent / "counts.json"


@dataclass(frozen=True, slots=True)
class Counts:
    """What one piece of work asks for. Parts of units come of sharing a batch's own."""

    wru: float = 0
    rru: float = 0
    sqs: float = 0  # messages sent
    kms: float = 0
    log_bytes: float = 0
    stored_bytes: float = 0
    egress_bytes: float = 0
    calls: float = 0

    def __add__(self, other: Counts) -> Counts:
        return Counts(*(a + b for a, b in zip(self.values(), other.values(), strict=True)))

    def __sub__(self, other: Counts) -> Counts:
        return self + other * -1

    def __mul__(self, times: float) -> Counts:
        return Counts(*(value * times for value in self.values()))

    def values(self) -> tuple[float, ...]:
        return (
            self.wru,
            self.rru,
            self.sqs,
            self.kms,
            self.log_bytes,
            self.stored_bytes,
            self.egress_bytes,
            self.calls,
        )


@dataclass(frozen=True, slots=True)
class Run:
    """The counted pieces of work, at one size of payload."""

    payload: int
    pieces: dict[str, Counts]

    def dispatch(self, events: float, endpoints: float) -> Counts:
        """Return what a batch of one channel's events to so many endpoints takes, all delivered: it is linear."""
        one = self.pieces["dispatch 1 x 1"]
        per_event = (self.pieces["dispatch 10 x 1"] - one) * (1 / 9)
        per_endpoint = (self.pieces["dispatch 1 x 10"] - one) * (1 / 9)
        return one + per_event * (events - 1) + per_endpoint * (events * (endpoints - 1))


def read(text: str) -> list[Run]:
    found: list[dict[str, Any]] = json.loads(text)["runs"]
    return [
        Run(run["payload"], {name: Counts(**counts) for name, counts in run["pieces"].items()})
        for run in found
    ]


@lru_cache(maxsize=1)
def committed() -> list[Run]:
    """Return the counts in the repository, by size of payload."""
    return read(COUNTS.read_text("utf-8"))


def at(payload: int) -> Run:
    """Return the counts of the smallest counted payload that is no smaller, else those of the largest."""
    runs = committed()
    return next((run for run in runs if run.payload >= payload), runs[-1])
