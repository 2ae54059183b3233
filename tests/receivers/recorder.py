"""A receiver that records every POST as received, and answers as a test tells it."""

from __future__ import annotations

import threading
import time
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

PATIENCE: Final = 60.0
"""Seconds to wait for a delivery, even on a busy machine."""


@dataclass(frozen=True)
class Recorded:
    """One POST, byte for byte."""

    path: str
    headers: dict[str, str]  # lowercase names
    body: bytes = field(repr=False)
    at: float  # on the monotonic clock

    @property
    def id(self) -> str:
        return self.headers["webhook-id"]


type Answer = Callable[[Recorded], int]
"""Returns the status for a POST; may be slow."""


class Recorder:
    """A web server on loopback and the requests it received."""

    def __init__(self, answer: Answer, retry_after: int | None = None) -> None:
        self._answer = answer
        self._retry_after = retry_after
        self._recorded: list[Recorded] = []
        self._arrived = threading.Condition()
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self.server.daemon_threads = True  # a slow answer may outlast the test

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server.server_address[1]}/hook"

    @property
    def recorded(self) -> list[Recorded]:
        with self._arrived:
            return list(self._recorded)

    def wait_for(self, count: int) -> list[Recorded]:
        """Return the requests as soon as there are `count` or more."""
        with self._arrived:
            if not self._arrived.wait_for(lambda: len(self._recorded) >= count, timeout=PATIENCE):
                raise AssertionError(f"{len(self._recorded)} of {count} deliveries after {PATIENCE:.0f} s")
            return list(self._recorded)

    def _keep(self, recorded: Recorded) -> None:
        with self._arrived:
            self._recorded.append(recorded)
            self._arrived.notify_all()

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        recorder = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                recorded = Recorded(
                    path=self.path,
                    headers={name.lower(): value for name, value in self.headers.items()},
                    body=self.rfile.read(int(self.headers["content-length"])),
                    at=time.monotonic(),
                )
                recorder._keep(recorded)
                status = recorder._answer(recorded)
                try:
                    self.send_response(status)
                    self.send_header("content-length", "0")
                    if recorder._retry_after is not None:
                        self.send_header("retry-after", str(recorder._retry_after))
                    self.end_headers()
                except OSError:
                    pass  # the client has given up

            def log_message(self, *_: object) -> None:
                pass

        return Handler


@contextmanager
def recording(answer: Answer, *, retry_after: int | None = None) -> Iterator[Recorder]:
    """Run a recorder for the duration of the block; it may ask for a delay in seconds with every answer."""
    recorder = Recorder(answer, retry_after)
    thread = threading.Thread(target=recorder.server.serve_forever, daemon=True)
    thread.start()
    try:
        yield recorder
    finally:
        recorder.server.shutdown()
        recorder.server.server_close()
        thread.join()


def always(status: int) -> Answer:
    return lambda _: status


def in_turn(*statuses: int) -> Answer:
    """Give each event these answers in turn, then the last one."""
    seen: dict[str, int] = {}
    lock = threading.Lock()

    def answer(recorded: Recorded) -> int:
        with lock:
            turn = seen[recorded.id] = seen.get(recorded.id, -1) + 1
        return statuses[min(turn, len(statuses) - 1)]

    return answer
