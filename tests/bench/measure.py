"""Measuring: contenders take turns; each turn's CPU and wall time gives medians and ratios.

CPU time is that of this process with all its threads, so other processes hardly affect it. A ratio is taken
within each round and then over the rounds, so a slow round cancels out.
"""

from __future__ import annotations

import gc
import statistics
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

type Turn = Callable[[], int]
"""Does the work once and returns the number of units; only this is measured."""

type Contender = Callable[[], Turn]
"""Prepares a turn."""


@dataclass(frozen=True, slots=True)
class Spread:
    """A median, with the minimum and maximum."""

    median: float
    low: float
    high: float

    @classmethod
    def of(cls, values: Sequence[float]) -> Spread:
        return cls(statistics.median(values), min(values), max(values))


@dataclass(slots=True)
class Series:
    """The times of one contender's turns, per unit."""

    cpu_ms: list[float] = field(default_factory=list)
    wall_ms: list[float] = field(default_factory=list)  # of the whole turn
    units: int = 0

    @property
    def cpu(self) -> Spread:
        return Spread.of(self.cpu_ms)

    @property
    def wall(self) -> Spread:
        return Spread.of(self.wall_ms)

    @property
    def per_second(self) -> float:
        """Return units per second of wall time, by the median turn."""
        return self.units / self.wall.median * 1000


def take_turns(contenders: Mapping[str, Contender], *, rounds: int, warm_up: int = 1) -> dict[str, Series]:
    """Let the contenders take turns, in an order that rotates by one each round."""
    series = {name: Series() for name in contenders}
    names = list(contenders)
    for turn in range(warm_up + rounds):
        first = turn % len(names)
        for name in names[first:] + names[:first]:
            run = contenders[name]()
            gc.collect()
            wall, cpu = time.perf_counter(), time.process_time()
            units = run()
            cpu, wall = time.process_time() - cpu, time.perf_counter() - wall
            if turn >= warm_up:
                series[name].units = units
                series[name].cpu_ms.append(cpu * 1000 / max(1, units))
                series[name].wall_ms.append(wall * 1000)
    return series


def ratio(one: Series, other: Series) -> Spread:
    """Return the ratio of two contenders' CPU per unit, round by round."""
    return Spread.of([a / b for a, b in zip(one.cpu_ms, other.cpu_ms, strict=True)])
