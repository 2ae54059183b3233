"""The template under test.

Every test takes it as an argument, so that test_breakages.py can pass a broken one.
"""

import pytest

from tests.template import Template, load


@pytest.fixture(scope="session")
def stack() -> Template:
    return load()
