"""The promise under anything that can happen."""

from __future__ import annotations

import os

from hypothesis import HealthCheck, settings
from hypothesis.stateful import run_state_machine_as_test

from tests.proof.machine import Machine
from tests.proof.world import World

STEPS = 40
RUNS = 200


def test_the_promise_holds_whatever_happens(world: World) -> None:
    """After faults, duplicates, changes of mind and time, every event is what the promise says at every endpoint.

    In `make torture` the runs are more and different every time; a failure prints what leads to it.
    """
    runs = os.environ.get("TORTURE_RUNS")
    Machine.world = world
    run_state_machine_as_test(
        Machine,
        settings=settings(
            max_examples=int(runs or RUNS),
            stateful_step_count=STEPS,
            derandomize=runs is None,
            database=None,
            deadline=None,
            print_blob=True,
            suppress_health_check=list(HealthCheck),
        ),
    )
