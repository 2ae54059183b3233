"""One stack for all end-to-end tests, beside any that `make local` runs."""

from collections.abc import Generator

import pytest

from infra.local.places import STATE
from infra.local.stack import Stack, running_stack

# Seconds. The order of the three delays stays recognisable, and a whole delivery takes ten seconds
SCALED = {"FirstRetryDelay": "2", "SecondRetryDelay": "3", "ThirdRetryDelay": "4", "AttemptDeadline": "2"}


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
