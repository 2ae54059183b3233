"""The `posthorn` command, as an operator types it."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from infra.local.stack import Stack


def _posthorn(stack: Stack, *arguments: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, **stack.account.environment()}
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
            ["keys", "create", "--name", "x", "--scope", "api_user", "--workspace", "acme"],
            "not the id of a workspace",
        ),
        (["keys", "create", "--name", "x", "--scope", "api_user", "--stack", "nobodys"], "nobodys"),
        (["keys", "revoke", "000000000000"], "there is no key 000000000000"),
    ],
)
def test_a_failed_command_prints_one_line(stack: Stack, arguments: list[str], says: str) -> None:
    """A command that fails exits with 1 and one line that says why, without a traceback."""
    done = _posthorn(stack, *arguments)

    assert done.returncode == 1
    assert done.stdout == ""
    (line,) = done.stderr.splitlines()
    assert line.startswith("posthorn: ")
    assert says in line


@pytest.mark.parametrize(
    "arguments", [[], ["keys"], ["keys", "create"], ["keys", "create", "--scope", "root"]]
)
def test_an_invalid_command_line_prints_the_usage(stack: Stack, arguments: list[str]) -> None:
    """An invalid command line exits with 2 and prints the usage."""
    done = _posthorn(stack, *arguments)

    assert done.returncode == 2
    assert "usage: posthorn" in done.stderr


def test_a_second_key_of_a_workspace_sees_the_same(stack: Stack) -> None:
    """A key for an existing workspace is created in that workspace."""
    first = _posthorn(stack, "keys", "create", "--name", "one", "--scope", "api_user")
    workspace = first.stdout.split()[1]
    second = _posthorn(
        stack, "keys", "create", "--name", "two", "--scope", "api_user", "--workspace", workspace
    )

    assert second.stdout.splitlines()[0] == first.stdout.splitlines()[0]
    assert "cannot be shown again" in second.stderr
