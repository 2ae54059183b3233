"""Counted AWS calls of the handlers, from counts.json: `make counts` writes it from a real run."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, Final

COUNTS: Final = Path(__file__).parent / "counts.json"


@dataclass(frozen=True, slots=True)
class Counts:
    """The calls of one piece of work. Fractions are shares of a batch's calls."""

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
    """The counted pieces of work, for one payload size."""

    payload: int
    pieces: dict[str, Counts]

    def dispatch(self, events: float, endpoints: float) -> Counts:
        """Return the counts of dispatching one channel's batch, all delivered: they are linear."""
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
    """Return the counts in the repository, by payload size."""
    return read(COUNTS.read_text("utf-8"))


def at(payload: int) -> Run:
    """Return the counts of the smallest counted payload that is at least as large, else the largest."""
    runs = committed()
    return next((run for run in runs if run.payload >= payload), runs[-1])
