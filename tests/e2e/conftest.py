"""One stack for all end-to-end tests, beside any that `make local` runs."""

from collections.abc import Generator, Iterator
from contextlib import contextmanager

import pytest

from infra.local.places import STATE
from infra.local.stack import Stack, running_stack
from tests.e2e.verification import SECRET, Receiving, verify
from tests.receivers.node import NodeReceiver, node_receiver
from tests.receivers.recorder import Answer, Recorder, recording

# Seconds. The order of the three delays stays recognizable, and a whole delivery takes ten seconds
SCALED = {
    "FirstRetryDelay": "2",
    "SecondRetryDelay": "3",
    "ThirdRetryDelay": "4",
    "AttemptDeadline": "2",
    "SweepGrace": "40",
}


@pytest.fixture(scope="session")
def stack(request: pytest.FixtureRequest) -> Generator[Stack]:
    """Run the stack; its logs are in `.local/e2e`."""
    plugins = request.config.pluginmanager
    terminal, capture = plugins.get_plugin("terminalreporter"), plugins.get_plugin("capturemanager")
    assert terminal is not None
    assert capture is not None

    def show(text: str) -> None:
        with capture.global_and_fixture_disabled():  # half a minute of silence looks like a hang
            terminal.write(text, flush=True)

    show("\n")
    with running_stack(SCALED, state_directory=STATE / "e2e", write=show) as running:
        yield running
        show("\n")


@pytest.fixture(scope="session")
def npm_libraries() -> Iterator[NodeReceiver]:
    """Run the two published verifiers from the npm registry."""
    with node_receiver("standard.js", env={"WEBHOOK_SECRET": SECRET}) as receiver:
        yield receiver


@pytest.fixture
def receiving(npm_libraries: NodeReceiver) -> Receiving:
    """Provide receivers that verify, when they close, every delivery they received."""

    @contextmanager
    def verified(answer: Answer) -> Iterator[Recorder]:
        with recording(answer) as recorder:
            yield recorder
        for delivery in recorder.recorded:
            verify(delivery, npm_libraries)

    return verified
