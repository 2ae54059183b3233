from __future__ import annotations

import logging
from typing import TYPE_CHECKING

import pytest

from posthorn.telemetry import log
from tests.proof import customers
from tests.proof.world import World, existing

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(scope="session")
def shared_world() -> Iterator[World]:
    before = log().log_level
    log().setLevel(logging.CRITICAL)  # a line for each of thousands of attempts
    with existing() as world:
        yield world
    log().setLevel(before)


@pytest.fixture(scope="session")
def inhabited_world(shared_world: World) -> World:
    """Give every later run some endpoints to begin with."""
    shared_world.begin()
    with shared_world.happening():
        for workspace, number, patterns in ((0, 0, ["*"]), (0, 1, ["contact.*"]), (1, 0, ["*"])):
            customers.register(shared_world, workspace, number, patterns)
        customers.register_destination(shared_world, 2)
    shared_world.settle_down()
    return shared_world


@pytest.fixture
def world(inhabited_world: World) -> World:
    """Give a world at its beginning; making one takes longer than most tests."""
    inhabited_world.begin()
    return inhabited_world
