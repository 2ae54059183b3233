"""The lock that keeps two local stacks out of one directory."""

import signal
import subprocess
import sys
from pathlib import Path

import pytest

from infra.local.errors import AlreadyRunning
from infra.local.lock import held_lock


def test_the_second_process_learns_who_holds_it(tmp_path: Path) -> None:
    """The second process is refused with the holder's own description."""
    with held_lock(tmp_path / "lock") as tell:
        tell("process 17, http://127.0.0.1:1")
        with pytest.raises(AlreadyRunning, match="process 17, http://127"), held_lock(tmp_path / "lock"):
            pass
        with pytest.raises(AlreadyRunning, match="process 17"), held_lock(tmp_path / "lock"):
            pass  # the refused process did not erase the description


def test_it_is_free_after_the_block(tmp_path: Path) -> None:
    """Stacks may use the same directory one after another."""
    for _ in range(2):
        with held_lock(tmp_path / "lock"):
            pass


def test_it_is_free_once_its_holder_was_killed(tmp_path: Path) -> None:
    """A holder that was killed does not block the next one."""
    lock = tmp_path / "lock"
    hold = f"""
import sys, pathlib
from infra.local.lock import held_lock
with held_lock(pathlib.Path({str(lock)!r})):
    print("held", flush=True)
    sys.stdin.read()
"""
    with subprocess.Popen(  # the lines above
        [sys.executable, "-c", hold], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        with pytest.raises(AlreadyRunning, match=f"process {holder.pid}, starting"), held_lock(lock):
            pass
        holder.send_signal(signal.SIGKILL)
        holder.wait()
        assert lock.read_text(), "the dead holder's description is still there"
        with held_lock(lock):
            pass
