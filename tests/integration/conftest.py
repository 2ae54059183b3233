from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.installation import Installation, running

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def posthorn(caplog: pytest.LogCaptureFixture) -> Iterator[Installation]:
    """Give an installation of the test's own, and see afterwards that it kept its secrets."""
    with running() as installation:
        yield installation
        logged = [repr(record.__dict__) for record in caplog.get_records("call")]
        said = "".join([*logged, *installation.answers, installation.everything_stored()])
        leaked = [secret for secret in installation.secrets | {installation.key[16:48]} if secret in said]
        assert leaked == []
