"""The `posthorn` command, as an operator types it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from tests.receivers.recorder import always, recording

if TYPE_CHECKING:
    from infra.local.stack import Stack


def _posthorn(stack: Stack, *arguments: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, **stack.account.environment()}
    for name in ("GITHUB_ACTIONS", "FORCE_COLOR", "PY_COLORS"):  # with these, help and errors have colors
        environment.pop(name, None)
    return subprocess.run(
        [sys.executable, "-m", "posthorn_cli", *arguments],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (
            ["keys", "create", "--name", "x", "--platform", "--stack", "nobodys"],
            "posthorn: There is no stack named nobodys in {region}.",
        ),
        (
            ["keys", "create", "--name", "x", "--scope", "user", "--workspace", "nobody"],
            "posthorn: There is no workspace with the id or uid nobody.",
        ),
        (["keys", "revoke", "000000000000"], "posthorn: There is no API key with the id 000000000000."),
    ],
)
def test_a_failed_command_prints_one_line(stack: Stack, arguments: list[str], says: str) -> None:
    """A command that fails exits with 1 and one line that says why, without a traceback."""
    done = _posthorn(stack, *arguments)

    region = stack.account.environment()["AWS_DEFAULT_REGION"]
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == says.format(region=region) + "\n"


@pytest.mark.parametrize(
    "arguments",
    [
        ["keys", "create"],
        ["keys", "create", "--scope", "root"],
        ["keys", "create", "--name", "x", "--workspace", "acme"],
    ],
)
def test_an_invalid_command_line_prints_the_usage(stack: Stack, arguments: list[str]) -> None:
    """An invalid command line exits with 2 and prints the usage."""
    done = _posthorn(stack, *arguments)

    assert done.returncode == 2
    assert "Usage: posthorn keys create" in done.stderr


def test_check_looks_at_the_whole_stack(stack: Stack) -> None:
    """The functions start and the queues are read, a test event arrives, and nothing but development's defaults is said."""
    with recording(always(204)) as receiver:
        done = _posthorn(
            stack, "check", "--json", "--api-url", stack.api_url, "--publish", "--url", receiver.url
        )

    document = json.loads(done.stdout)
    failed = [one for one in document["findings"] if one["status"] == "fail"]
    assert (done.returncode, failed) == (0, [])
    assert {one["check"] for one in document["findings"] if one["status"] == "ok"} >= {
        "stack",
        "api",
        "functions",
        "sources",
        "concurrency",
        "key",
        "tables",
        "alarms",
        "mail",
        "brand",
        "delivery",
    }
    assert "the receiver answered 204" in document["findings"][-1]["text"]
    assert len(receiver.recorded) == 1


def test_a_second_key_of_a_workspace_sees_the_same(stack: Stack) -> None:
    """A key for an existing workspace is created in that workspace."""
    made = _posthorn(stack, "workspaces", "create", "cli-keys", "--json")
    workspace = json.loads(made.stdout)["workspace"]["id"]
    command = ("keys", "create", "--name", "one", "--scope", "api_user")
    first = _posthorn(stack, *command, "--workspace", "cli-keys")
    second = _posthorn(stack, *command, "--workspace", workspace, "--json")

    assert first.stdout.split()[1] == json.loads(second.stdout)["workspace"] == workspace
    assert "cannot be shown again" in first.stderr
    assert second.stderr == ""
