"""Runs `posthorn` in this process and keeps what it says."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from posthorn_cli.app import main

if TYPE_CHECKING:
    import pytest

_ESCAPES: Final = re.compile(r"\x1b\[[0-9;]*m")
_BOX: Final = re.compile(r"[│╭╮╰╯─]")


@dataclass(frozen=True, slots=True)
class Done:
    """A command that has ended."""

    status: int
    out: str
    err: str

    @property
    def document(self) -> Any:
        return json.loads(self.out)

    @property
    def mistake(self) -> str:
        """Return what is wrong with the command line, without the frame around it."""
        return " ".join(_BOX.sub("", self.err).split())


def run(capsys: pytest.CaptureFixture[str], *arguments: str) -> Done:
    """Run a command; colors are left out, which some CI services ask for."""
    capsys.readouterr()
    status = main(arguments)
    printed = capsys.readouterr()
    return Done(status, _ESCAPES.sub("", printed.out), _ESCAPES.sub("", printed.err))
