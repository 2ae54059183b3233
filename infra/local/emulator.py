"""The emulator's process, from choosing a port to the end of its workers."""

import socket
import subprocess
import time
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from infra.local.account import Account
from infra.local.errors import StartFailed
from infra.local.places import EMULATOR_PYTHON, LAMBDA_PYTHON, StateDirectory, tail
from infra.local.process import has_ended, process_group

LOOPBACK: Final = "127.0.0.1"

_ENTRYPOINT = Path(__file__).with_name("entrypoint.py")
_PORTS_TRIED = 3
_START_DEADLINE = 60.0  # seconds


@dataclass(frozen=True, slots=True)
class Emulator:
    """A running MiniStack."""

    account: Account
    process_id: int


@contextmanager
def running_emulator(state: StateDirectory) -> Generator[Emulator]:
    """Start MiniStack on a free loopback port; stop it and its functions after the block."""
    log = state.log("emulator")
    for _ in range(_PORTS_TRIED):
        port = free_port()
        account = Account(f"http://{LOOPBACK}:{port}")
        with process_group(
            # -I: ignore the caller's Python environment, and import nothing from beside the script
            [EMULATOR_PYTHON, "-I", _ENTRYPOINT, LAMBDA_PYTHON],
            env=_environment(account, port, state.temporary),
            cwd=state.path,
            log=log,
            stdin=subprocess.PIPE,  # closes when this process ends, in whatever way
        ) as process:
            if _listens(process, port, log):
                yield Emulator(account, process.pid)
                return
    raise StartFailed(f"the emulator did not start\n{tail(log)}")


def free_port() -> int:
    """Return a port that was free a moment ago."""
    with socket.socket() as probe:
        probe.bind((LOOPBACK, 0))
        port: int = probe.getsockname()[1]
    return port


def _environment(account: Account, port: int, temporary: Path) -> Mapping[str, str]:
    """Return the emulator's whole environment, which the functions share: nothing is inherited."""
    return {
        "PATH": "/usr/bin:/bin",
        "LANG": "C.UTF-8",
        "HOME": str(temporary),
        "TMPDIR": str(temporary),
        "BIND_HOST": LOOPBACK,
        "GATEWAY_PORT": str(port),
        "AUTH": "true",  # enforce the template's roles
        "LAMBDA_EXECUTOR": "local",
        "MINISTACK_REGION": account.region,
        "DOCKER_HOST": "unix:///nonexistent",  # otherwise it would remove containers if Docker is installed
        "IOT_MTLS_ENABLED": "0",  # otherwise it would listen on every interface
        "SFTP_ENABLED": "0",
        **{name: value for name, value in account.environment().items() if name != "AWS_ENDPOINT_URL"},
    }


def _listens(process: subprocess.Popen[bytes], port: int, log: Path) -> bool:
    """Wait for the emulator; return False if it exited, as it does if another process took the port first.

    Its own log says when it listens. A request would prove nothing: the other process may be an emulator,
    too.
    """
    deadline = time.monotonic() + _START_DEADLINE
    while not has_ended(process) and time.monotonic() < deadline:
        if f"Running on http://{LOOPBACK}:{port} " in log.read_text(errors="replace"):
            return True
        time.sleep(0.1)
    return False
