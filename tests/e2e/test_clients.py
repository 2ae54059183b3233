"""Clients that others' generators make of the description, used against the deployed API."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from posthorn_cli.access import create_workspace_key
from tests.e2e.customer import TOKEN
from tests.openapi.clients import generate_python, generate_typescript, run_python, run_typescript

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from infra.local.stack import Stack
    from tests.e2e.verification import Receiving


@pytest.mark.parametrize(
    ("generate", "run"),
    [(generate_python, run_python), (generate_typescript, run_typescript)],
    ids=["openapi-python-client", "openapi-ts"],
)
def test_a_generated_client_makes_the_round_trip(
    stack: Stack,
    receiving: Receiving,
    tmp_path: Path,
    generate: Callable[[Path], None],
    run: Callable[..., str],
) -> None:
    """It creates a webhook, publishes an event, sees it delivered, and replays it: the receiver gets it twice."""
    _, key = create_workspace_key(
        stack.client("dynamodb"),
        stack.outputs["ConfigTableName"],
        workspace_name="generated client",
        scopes=["publish", "api_user", "user"],
    )
    generate(tmp_path)
    with receiving(lambda _: 200) as receiver:
        event_id = run(
            tmp_path,
            {
                "API_URL": stack.api_url,
                "API_KEY": key,
                "RECEIVER_URL": receiver.url,
                "WEBHOOK_TOKEN": TOKEN,
            },
        )
        assert [one.id for one in receiver.recorded] == [event_id, event_id]
