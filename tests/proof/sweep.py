"""Repeat one scenario with its invocation dying before and after each of its steps."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.proof import promise, recovery
from tests.proof.faults import POST, Fault, Kind
from tests.proof.world import Way

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.proof.scenarios import Scenario
    from tests.proof.world import World

DEATHS = (Kind.DIE_BEFORE, Kind.DIE_AFTER)
LOSSES = (Kind.LOSE_ANSWER, Kind.THROTTLE, Kind.CONFLICT)
ORDERS = ((False, False), (True, True))
"""Calls run at once or when their results are read; POSTs one by one or all before the first outcome."""


def steps(world: World, scenario: Scenario, way: Way) -> list[str]:
    """Return the steps of the scenario's invocation without a fault; the promise holds afterwards."""
    violations = run(world, scenario, way)
    assert violations == [], f"{scenario}, without any fault: {violations}"
    assert world.watched is not None, f"{scenario} invokes nothing"
    return world.watched.steps


def deaths(world: World, scenario: Scenario) -> Iterator[tuple[str, list[str]]]:
    """Yield every death, described in words, and how it violates the promise."""
    for is_lazy, at_once in ORDERS:
        way = Way(is_lazy=is_lazy, at_once=at_once)
        names = steps(world, scenario, way)
        for number, name in enumerate(names):
            for kind in (*DEATHS, *(() if is_lazy or name == POST else LOSSES)):
                way = Way(Fault(kind, number), is_lazy=is_lazy, at_once=at_once)
                order = "late calls, overlapping POSTs" if is_lazy else "early calls, single POSTs"
                yield f"{kind} step {number + 1} of {len(names)}, {name} ({order})", run(world, scenario, way)


def run(world: World, scenario: Scenario, way: Way) -> list[str]:
    """Run a scenario to its end and return how the promise is violated."""
    world.begin()
    scenario.prepare(world)
    with world.happening(way):
        world.watched = None
        scenario.act(world)
    found = promise.out_of_order(world)
    unsent = promise.without_message(world)
    recovery.drain(world, with_sweeper=False)
    if not scenario.needs_sweeper:
        is_excused = scenario.sweeper_after_death and _died(world)
        found += promise.forsaken(world, unsent if is_excused else frozenset())
    recovery.drain(world)
    return found + promise.broken(world)


def _died(world: World) -> bool:
    return world.watched is not None and world.watched.dead
