from __future__ import annotations

import gc
import io
import logging
from typing import TYPE_CHECKING, Any
from unittest import mock

import pytest
from botocore.client import BaseClient

from posthorn.stores.workspace_rows import KINDS, NOT_REMOVED
from posthorn.telemetry import log
from tests.checks import answering_api, production
from tests.installation import Installation, running
from tests.moto_account import stored_rows

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.deployed_stack import DeployedStack


def pytest_collection_finish() -> None:
    """Leave what collecting has loaded out of every later garbage collection: a tenth of the stage's time."""
    gc.collect()
    gc.freeze()


@pytest.fixture
def posthorn(caplog: pytest.LogCaptureFixture) -> Iterator[Installation]:
    """Give an installation of the test's own, and see afterwards that it kept its secrets."""
    with running() as installation:
        yield installation
        logged = [repr(record.__dict__) for record in caplog.get_records("call")]
        said = "".join([*logged, *installation.answers, installation.everything_stored()])
        assert unknown_kinds(installation.tables["ConfigTable"]) == set()
        leaked = [secret for secret in installation.secrets | {installation.key[16:48]} if secret in said]
        assert leaked == []


def unknown_kinds(config_table: str) -> set[str]:
    """Return the kinds of rows that a purge of their workspace would not know of."""
    names = (row["sk"]["S"].partition("#") for row in stored_rows([config_table]))
    return {name + mark for name, mark, _ in names} - KINDS.keys() - NOT_REMOVED.keys()


@pytest.fixture
def calls() -> Iterator[list[str]]:
    """Return a list that collects the name of every AWS call."""
    made: list[str] = []
    plain = BaseClient._make_api_call  # type: ignore[attr-defined]  # not in the stubs

    def noted(self: BaseClient, name: str, parameters: Any) -> Any:
        made.append(name)
        return plain(self, name, parameters)

    with mock.patch.object(BaseClient, "_make_api_call", noted):
        yield made


@pytest.fixture
def log_lines() -> Iterator[io.StringIO]:
    """Collect what is logged."""
    handler = log().registered_handler
    assert isinstance(handler, logging.StreamHandler)
    lines = io.StringIO()
    before = handler.setStream(lines)
    yield lines
    handler.setStream(before)


@pytest.fixture
def webhook(posthorn: Installation) -> dict[str, Any]:
    """Register a webhook for two types of events."""
    return posthorn.register(events=["CONTACT_CREATED", "CONTACT_DELETED"])


@pytest.fixture
def api() -> Iterator[list[tuple[int, bytes]]]:
    with answering_api() as answers:
        yield answers


@pytest.fixture
def stack(api: list[tuple[int, bytes]], monkeypatch: pytest.MonkeyPatch) -> Iterator[DeployedStack]:
    assert api
    with production(monkeypatch) as found:
        yield found
