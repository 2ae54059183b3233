"""Processes of the local stack: every started process is stopped."""

import os
import signal
import sys
from pathlib import Path

import pytest

from infra.local.process import has_ended, process_group, run, terminable

ENV = {"PATH": "/usr/bin:/bin"}
# A child that starts a grandchild and prints its id; the grandchild writes a file if it survives
PARENT = """
import subprocess
with subprocess.Popen(["sh", "-c", "sleep 3; touch survived"]) as grandchild:
    print(grandchild.pid, flush=True)
"""


def _group_of_a_parent(tmp_path: Path, error: BaseException | None) -> tuple[int, int]:
    log = tmp_path / "log"
    with process_group([sys.executable, "-c", PARENT], env=ENV, cwd=tmp_path, log=log) as process:
        while not (text := log.read_text()).endswith("\n"):
            assert not has_ended(process)
        assert os.getpgid(int(text)) == process.pid, "the grandchild must be in the group"
        if error:
            raise error
    return process.pid, int(text)


def test_grandchildren_end_with_the_block(tmp_path: Path) -> None:
    """After the block, no process of the group is left, not even a zombie."""
    group, grandchild = _group_of_a_parent(tmp_path, None)
    with pytest.raises(ProcessLookupError):
        os.killpg(group, 0)
    with pytest.raises(ProcessLookupError):
        os.kill(grandchild, 0)
    assert not (tmp_path / "survived").exists()


def test_an_interrupted_block_ends_them_too(tmp_path: Path) -> None:
    """Ctrl-C leaves no process behind either."""
    with pytest.raises(KeyboardInterrupt):
        _group_of_a_parent(tmp_path, KeyboardInterrupt())
    with pytest.raises(ProcessLookupError):
        os.kill(int((tmp_path / "log").read_text()), 0)
    assert not (tmp_path / "survived").exists()


def test_run_returns_the_exit_status_and_logs_both_streams(tmp_path: Path) -> None:
    """The log holds stdout and stderr of this run only, in order."""
    for word in ("first", "second"):
        status = run(
            ["sh", "-c", f"echo {word}; echo {word} complaint >&2; exit 3"],
            env=ENV,
            cwd=tmp_path,
            log=tmp_path / "log",
        )
        assert status == 3
    assert (tmp_path / "log").read_text() == "second\nsecond complaint\n"


def test_standard_input_is_empty(tmp_path: Path) -> None:
    """A command that reads standard input gets end of file instead of waiting for a person."""
    ask = "import select, sys; sys.exit(0 if select.select([sys.stdin], [], [], 3)[0] else 1)"
    assert run([sys.executable, "-c", ask], env=ENV, cwd=tmp_path, log=tmp_path / "log") == 0


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_a_signal_to_end_unwinds_like_ctrl_c(number: signal.Signals) -> None:
    """SIGTERM and SIGHUP unwind the block, and their previous handlers are restored."""
    outside = signal.signal(number, signal.SIG_DFL)  # may be ignored where the tests run, as under nohup
    try:
        with pytest.raises(KeyboardInterrupt), terminable():
            os.kill(os.getpid(), number)
        assert signal.getsignal(number) is signal.SIG_DFL
    finally:
        signal.signal(number, outside)


def test_an_ignored_signal_stays_ignored() -> None:
    """A process started with nohup survives the end of its terminal."""
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with terminable():
            os.kill(os.getpid(), signal.SIGHUP)
    finally:
        signal.signal(signal.SIGHUP, before)
