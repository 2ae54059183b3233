from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.installation import Installation, running

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def posthorn() -> Iterator[Installation]:
    with running() as installation:
        yield installation
