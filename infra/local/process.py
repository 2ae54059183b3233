"""Processes in their own groups, so that their children end with them."""

import ctypes
import os
import signal
import subprocess
from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

_PR_SET_CHILD_SUBREAPER: Final = 36  # prctl(2), Linux


@contextmanager
def process_group(
    command: Sequence[str | Path],
    *,
    env: Mapping[str, str],
    cwd: Path,
    log: Path,
    stdin: int = subprocess.DEVNULL,
) -> Generator[subprocess.Popen[bytes]]:
    """Run a command; at the end of the block kill it and its children if they still run.

    Its output goes to `log`. After the block no process of the group is left, not even a zombie.
    """
    _adopt_orphans()
    with log.open("wb") as sink:
        process = subprocess.Popen(
            command,
            env=dict(env),
            cwd=cwd,
            stdin=stdin,
            stdout=sink,
            stderr=subprocess.STDOUT,
            start_new_session=True,  # also keeps the terminal's Ctrl-C from it
        )
    try:
        yield process
    finally:
        # The process has not been waited for yet, so the id still belongs to this group
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        with suppress(ChildProcessError):
            while True:
                os.waitpid(-process.pid, 0)
        if process.stdin:
            process.stdin.close()


def has_ended(process: subprocess.Popen[bytes]) -> bool:
    """Return whether the process has ended, without reaping it: `process_group` does that."""
    return os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None


def run(command: Sequence[str | Path], *, env: Mapping[str, str], cwd: Path, log: Path) -> int:
    """Run a command to its end and return its exit status."""
    with process_group(command, env=env, cwd=cwd, log=log) as process:
        os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
    return process.returncode


@contextmanager
def terminable() -> Generator[None]:
    """Make SIGTERM and SIGHUP unwind the block as Ctrl-C does. Main thread only.

    Ignored signals stay ignored, as under nohup.
    """
    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGHUP)}
    for number, handler in before.items():
        if handler is not signal.SIG_IGN:
            signal.signal(number, signal.default_int_handler)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _adopt_orphans() -> None:
    """Become the parent of orphaned descendants, to reap them; a container's first process may not do so."""
    if ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "prctl(PR_SET_CHILD_SUBREAPER)")
