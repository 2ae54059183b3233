"""Help, version and completion: what `posthorn` says about itself, without AWS's library."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest
from typer.main import get_command

from posthorn_cli.app import app
from posthorn_cli.cost.model import Workload
from tests.commands import run

if TYPE_CHECKING:
    from collections.abc import Iterator

BUILT_IN = {"--help", "--version", "--install-completion", "--show-completion"}


def commands(command: Any = None, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    """Yield every command that does something, and the words that lead to it."""
    command = get_command(app) if command is None else command
    inner = getattr(command, "commands", None)
    if inner is None:
        yield path, command
        return
    for name, one in inner.items():
        yield from commands(one, (*path, name))


COMMANDS = dict(commands())


def test_the_commands_are_these() -> None:
    """A command that is added gets its tests."""
    assert set(COMMANDS) == {
        ("workspaces", "list"),
        ("workspaces", "show"),
        ("workspaces", "create"),
        ("workspaces", "delete"),
        ("keys", "create"),
        ("keys", "list"),
        ("keys", "revoke"),
        ("check",),
        ("dead-letters",),
        ("redispatch",),
        ("cost",),
    }


@pytest.mark.parametrize("path", COMMANDS, ids=" ".join)
def test_everything_has_a_help_text(path: tuple[str, ...], capsys: pytest.CaptureFixture[str]) -> None:
    """The command and each of its options; `--help` shows them all, and every result can be had as JSON."""
    command = COMMANDS[path]
    options = [option for parameter in command.params for option in parameter.opts if option.startswith("-")]

    shown = run(capsys, *path, "--help")

    assert shown.status == 0
    assert command.help
    assert [parameter.name for parameter in command.params if not parameter.help] == []
    assert [option for option in options if option not in shown.out] == []
    assert "--json" in options


def test_cost_asks_for_everything_that_a_workload_has() -> None:
    """No field of the model is out of the operator's reach."""
    options = {parameter.name for parameter in COMMANDS["cost",].params}
    assert set(Workload.__dataclass_fields__) <= options


@pytest.mark.parametrize("arguments", [(), ("keys",)])
def test_no_command_shows_the_help(arguments: tuple[str, ...], capsys: pytest.CaptureFixture[str]) -> None:
    """Status 2, as for every command line that makes no sense."""
    done = run(capsys, *arguments)

    assert done.status == 2
    assert "Usage: posthorn" in done.out + done.err
    assert "keys" in done.out + done.err


def _posthorn(*arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "posthorn_cli", *arguments],
        env={**os.environ, **variables},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_a_completion_script_is_generated(shell: str) -> None:
    """The script calls the command back."""
    done = _posthorn(_POSTHORN_COMPLETE=f"source_{shell}")

    assert done.returncode == 0, done.stderr
    assert "_POSTHORN_COMPLETE=complete_" in done.stdout


@pytest.mark.parametrize(
    ("words", "offered"),
    [
        ("posthorn ", {"workspaces", "keys", "check", "cost", "redispatch", "dead-letters"}),
        ("posthorn keys ", {"create", "list", "revoke"}),
        ("posthorn dead-letters --queue ", {"dispatch", "deliver", "feedback", "purge", "replay"}),
    ],
)
def test_the_shell_is_offered_what_fits(words: str, offered: set[str]) -> None:
    """Commands, subcommands and the values of an option, as bash asks for them."""
    asked = {"COMP_WORDS": words, "COMP_CWORD": str(len(words.split()))}
    done = _posthorn(_POSTHORN_COMPLETE="complete_bash", **asked)

    assert set(done.stdout.split()) == offered, done.stderr


def test_help_does_not_wait_for_the_library_of_aws() -> None:
    """Every press of the tab key runs the program; boto3 alone takes longer than everything else."""
    code = (
        "import json, sys; import posthorn_cli.app;"
        " print(json.dumps([name for name in ('boto3', 'botocore', 'rich') if name in sys.modules]))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert json.loads(done.stdout) == []


def test_without_its_extra_the_command_says_how_to_get_it() -> None:
    """Posthorn is installed in Lambda without the command's libraries."""
    code = "import sys; sys.modules['typer'] = None; from posthorn_cli.__main__ import run; run()"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert (
        done.stderr
        == "posthorn: The module typer is missing. Install Posthorn with its extra: posthorn[cli].\n"
    )
