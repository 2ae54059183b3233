from __future__ import annotations

import logging
from typing import TYPE_CHECKING

import pytest

from posthorn.telemetry import log
from tests.proof.beginning import existing

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.proof.world import World


@pytest.fixture(scope="session")
def shared_world() -> Iterator[World]:
    before = log().log_level
    log().setLevel(logging.CRITICAL)  # one line for each of thousands of attempts
    with existing() as world:
        yield world
    log().setLevel(before)


@pytest.fixture
def world(shared_world: World) -> World:
    """Return a fresh world; creating one takes longer than most tests."""
    shared_world.begin()
    return shared_world
