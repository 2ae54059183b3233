"""Progress: lines at intervals where there is no terminal, a bar where there is one."""

from __future__ import annotations

import io
import sys
from typing import TYPE_CHECKING

from posthorn_cli import progress
from posthorn_cli.output import print_json
from posthorn_cli.progress import Step

if TYPE_CHECKING:
    import pytest


class Terminal(io.StringIO):
    """A stream that is one."""

    def isatty(self) -> bool:
        return True


def test_without_a_terminal_a_line_is_written_every_ten_seconds(capsys: pytest.CaptureFixture[str]) -> None:
    """A log of the command stays short, however many steps it has."""
    now = [0.0]
    with progress.shown(clock=lambda: now[0]) as report:
        for second in range(1, 26):
            now[0] = float(second)
            report(Step(second, 25, f"{second} of 25"))

    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err.splitlines() == ["10 of 25", "20 of 25"]


def test_a_terminal_has_a_bar_that_leaves_standard_output_alone(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """What is printed meanwhile goes where it belongs, a pipe for example."""
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    monkeypatch.setenv("TERM", "xterm")
    with progress.shown() as report:
        report(Step(1, 2, "[1] of 2"))
        print_json("result")

    assert capsys.readouterr().out == '"result"\n'
    assert "[1] of 2" in terminal.getvalue()
    assert "result" not in terminal.getvalue()
