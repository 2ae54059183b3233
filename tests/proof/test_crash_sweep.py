"""Death at every step of every function, one at a time: the promise holds each time."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.proof.scenarios import SCENARIOS, Scenario
from tests.proof.sweep import deaths

if TYPE_CHECKING:
    from tests.proof.world import World


@pytest.mark.parametrize("scenario", SCENARIOS, ids=str)
def test_the_promise_survives_death_at_every_step(world: World, scenario: Scenario) -> None:
    """Whatever an invocation did before it died, its retry completes the work, and nothing is done twice."""
    tried = 0
    for death, broken in deaths(world, scenario):
        tried += 1
        assert broken == [], f"{scenario}: {death}"
    assert tried
