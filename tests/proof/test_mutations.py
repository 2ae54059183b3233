"""The proof notices when the order of effects is violated."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.proof.mutations import MUTATIONS
from tests.proof.scenarios import SCENARIOS
from tests.proof.sweep import deaths, run
from tests.proof.world import Way

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.proof.world import World


@pytest.mark.parametrize("mutation", MUTATIONS)
def test_the_sweep_notices_a_broken_order(
    world: World, mutation: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """With the order of effects violated, throttling or some death of some invocation breaks the promise."""
    with MUTATIONS[mutation](world):
        found = next(_found(world), None)
    assert found is not None
    with capsys.disabled():
        print(f"\n  {mutation}: {found}")  # noqa: T201 - shows which case found it


def _found(world: World) -> Iterator[str]:
    for scenario in SCENARIOS:
        if violations := run(world, scenario, Way()):
            yield f"{scenario}, without any fault: {violations[0]}"
        for death, broken in deaths(world, scenario):
            if broken:
                yield f"{scenario}: {death}: {broken[0]}"
