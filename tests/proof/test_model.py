"""The promise holds under anything that can happen."""

from __future__ import annotations

import os
from contextlib import nullcontext
from typing import TYPE_CHECKING

from hypothesis import HealthCheck, Phase, settings
from hypothesis.stateful import run_state_machine_as_test

from posthorn.domain.models import Reason
from tests.proof.machine import Machine
from tests.proof.mutations import MUTATIONS

if TYPE_CHECKING:
    from collections import Counter

    import pytest

    from tests.proof.world import World

STEPS = 40
RUNS = 200
RUN_OF_CI = settings(
    max_examples=RUNS,
    stateful_step_count=STEPS,
    derandomize=True,
    database=None,
    deadline=None,
    print_blob=True,
    suppress_health_check=list(HealthCheck),
)
UNREACHED = {Reason.BLOCKED_ADDRESS, Reason.EVENT_EXPIRED, Reason.PAYLOAD_EXPUNGED}
REACHED = (
    "invocations that died",
    "POSTs repeated for that reason",
    "dead letters moved back",
    "deliveries redispatched",
    "rows swept",
    "generations by replays",
    "deliveries replayed in bulk",
    "row delivered",
    "results handed over",
    "first attempts queued without a row",
    *(f"row {reason}" for reason in Reason if reason not in UNREACHED),
)
"""Events that must occur in the runs; otherwise they would prove nothing about them."""


def test_the_promise_holds_whatever_happens(world: World, capsys: pytest.CaptureFixture[str]) -> None:
    """After faults, duplicates, changes and time, every event is as promised at every endpoint.

    In `make torture` the runs are more and different every time; a failure prints its steps. There, the order
    of effects can be broken on purpose, and the sweeper left out: decision 0022 records how.
    """
    runs, mutation = os.environ.get("TORTURE_RUNS"), os.environ.get("TORTURE_MUTATION")
    Machine.world = world
    Machine.with_sweeper = os.environ.get("TORTURE_SWEEPER") != "off"
    chosen = settings(RUN_OF_CI, max_examples=int(runs), derandomize=False) if runs else RUN_OF_CI
    if mutation:
        chosen = settings(chosen, phases=[Phase.generate])  # finding it is enough
    world.tally.clear()
    try:
        with MUTATIONS[mutation](world) if mutation else nullcontext():
            run_state_machine_as_test(Machine, settings=chosen)
    finally:
        with capsys.disabled():
            print(f"\n{table(world.tally)}")  # noqa: T201 - figures for the record
    if world.tally["runs"] >= RUNS and Machine.with_sweeper:
        assert {name for name in REACHED if not world.tally[name]} == set()


def table(tally: Counter[str]) -> str:
    """Print a table of what the runs covered."""
    return "\n".join(f"  {count:>8,}  {name}" for name, count in sorted(tally.items()))
