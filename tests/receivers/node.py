"""Receivers that run in Node: `with node_receiver("smashsend.js", env={...}) as receiver`."""

from __future__ import annotations

import json
import os
import subprocess
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from queue import Empty, SimpleQueue
from shutil import which
from threading import Thread
from typing import IO, TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

HERE: Final = Path(__file__).parent
PACKAGES: Final = ("cloudevents", "express", "standardwebhooks", "svix")
PATIENCE: Final = 30.0
"""Seconds to wait for a receiver's next step, even on a busy machine."""


class ReceiverError(Exception):
    """A receiver cannot be started or misbehaves; the text says what to do."""


@dataclass(frozen=True)
class NodeReceiver:
    """A running receiver; `log` has every printed line that is not JSON, including errors."""

    host: str
    port: int
    log: list[str]
    _reports: SimpleQueue[dict[str, Any] | None] = field(repr=False)

    @property
    def url(self) -> str:
        return f"http://{self.host}:{self.port}"

    def report(self) -> dict[str, Any]:
        """Return the next JSON line that the receiver prints, waiting for it if necessary."""
        return _next(self._reports, self.log)


@contextmanager
def node_receiver(script: str, *, env: Mapping[str, str]) -> Iterator[NodeReceiver]:
    """Run a script of this folder until the block ends; `env` is its whole environment except PATH."""
    node = node_path()
    for package in PACKAGES:
        if not (HERE / "node_modules" / package).is_dir():
            raise ReceiverError(
                f"the Node package {package} is missing: run `npm ci` in tests/receivers (`make setup` does)"
            )
    reports: SimpleQueue[dict[str, Any] | None] = SimpleQueue()
    log: list[str] = []
    with subprocess.Popen(
        [node, str(HERE / script)],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        encoding="utf-8",
        env={"PATH": os.environ["PATH"], "NODE_ENV": "test", **env},
    ) as process:
        reader = Thread(target=_read, args=(process.stdout, reports, log), daemon=True)
        reader.start()
        try:
            yield NodeReceiver("127.0.0.1", _next(reports, log)["port"], log, reports)
        finally:
            process.kill()  # it has nothing to clean up
            process.wait()
            reader.join()


def node_path() -> str:
    """Return the path of Node, which the tests need to check JavaScript's behavior."""
    if (node := which("node")) is None:
        raise ReceiverError("Node is not on PATH; the tests need version 20 or newer")
    return node


def _read(lines: IO[str], reports: SimpleQueue[dict[str, Any] | None], log: list[str]) -> None:
    for line in lines:
        if line.startswith("{"):
            reports.put(json.loads(line))
        else:
            log.append(line.rstrip("\n"))
    reports.put(None)


def _next(reports: SimpleQueue[dict[str, Any] | None], log: list[str]) -> dict[str, Any]:
    try:
        report = reports.get(timeout=PATIENCE)
    except Empty:
        raise ReceiverError(f"the receiver printed no JSON line within {PATIENCE:g} s: {log}") from None
    if report is None:
        raise ReceiverError(f"the receiver ended: {log}")
    return report
