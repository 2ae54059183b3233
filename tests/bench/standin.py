"""Stand-ins on loopback, in a process of their own: webhook receivers and the AWS endpoints.

The process that calls them is measured. So they do as little as possible, in one thread, and their own CPU
time is not counted. Run as a program, this prints one line of JSON with its ports and its certificate
authority.

A receiver's path selects its behavior: `/200/...` answers after 200 ms, `/hang/...` never.
"""

from __future__ import annotations

import asyncio
import json
import os
import ssl
import sys
import tempfile
from abc import ABC, abstractmethod
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, override

import trustme

from tests.bench.rows import Rows

if TYPE_CHECKING:
    from collections.abc import Callable

HOSTS: Final = "*.receivers.bench"
_OK: Final = b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 2\r\n\r\nok"


class Server(asyncio.Protocol, ABC):
    """HTTP/1.1, to the extent that our clients use it."""

    def __init__(self) -> None:
        self._unread = b""
        self._transport: asyncio.Transport | None = None

    @override
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport  # type: ignore[assignment]  # always a WriteTransport

    @override
    def data_received(self, data: bytes) -> None:
        unread = self._unread + data if self._unread else data
        while (end := unread.find(b"\r\n\r\n")) >= 0:
            head = unread[:end]
            lower = head.lower()
            at = lower.find(b"content-length:")
            length = int(lower[at + 15 :].split(b"\r\n", 1)[0]) if at >= 0 else 0
            if b"expect: 100-continue" in lower and len(unread) < end + 4 + length:
                self.write(b"HTTP/1.1 100 Continue\r\n\r\n")
            if len(unread) < end + 4 + length:
                break
            body = unread[end + 4 : end + 4 + length]
            unread = unread[end + 4 + length :]
            self.request(head, body)
        self._unread = unread

    def write(self, data: bytes) -> None:
        if self._transport is not None and not self._transport.is_closing():
            self._transport.write(data)

    @abstractmethod
    def request(self, head: bytes, body: bytes) -> None:
        """Answer one request."""


class Receiver(Server):
    """A customer's receiver."""

    arrivals: Final[list[tuple[str, float]]] = []

    @override
    def request(self, head: bytes, body: bytes) -> None:
        path = head.split(b" ", 2)[1]
        delay = path.split(b"/", 2)[1]
        loop = asyncio.get_running_loop()
        if path.endswith(b"/noted"):
            self.arrivals.append((path.decode(), loop.time()))  # CLOCK_MONOTONIC, the same in every process
        if delay == b"hang":
            return
        if delay == b"0":
            self.write(_OK)
        else:
            loop.call_later(int(delay) / 1000, self.write, _OK)


class Aws(Server):
    """DynamoDB, SQS and KMS as far as they are called, and the control of this process under `/control`."""

    rows: Final = Rows()

    @override
    def request(self, head: bytes, body: bytes) -> None:
        if head.startswith(b"POST /control"):
            self._answer(json.dumps(control(self.rows, json.loads(body))).encode())
            return
        at = head.lower().find(b"x-amz-target:")
        target = head[at + 13 :].split(b"\r\n", 1)[0].strip().decode()
        service, _, operation = target.partition(".")
        status, answer = self.rows.call(service, operation, body)
        self._answer(answer, status)

    def _answer(self, body: bytes, status: int = 200) -> None:
        head = f"HTTP/1.1 {status} X\r\nContent-Type: application/x-amz-json-1.0\r\nContent-Length: {len(body)}\r\n\r\n"
        self.write(head.encode() + body)


def control(rows: Rows, order: dict[str, Any]) -> Any:
    """Execute a command that the benchmark sends between its measurements."""
    match order["do"]:
        case "put":
            rows.put_all(order["table"], order["items"])
        case "fill":
            rows.fill(order["table"], order["count"])
        case "use":
            rows.use(order["name"])
        case "clear":
            rows.clear()
        case "calls":
            calls, rows.calls = rows.calls, {}
            return calls
        case "arrivals":
            arrivals = list(Receiver.arrivals)
            Receiver.arrivals.clear()
            return arrivals
        case unknown:
            raise ValueError(unknown)
    return None


async def serve() -> None:
    authority = trustme.CA()
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert(HOSTS, "receivers.bench").configure_cert(tls)
    loop = asyncio.get_running_loop()

    async def listen(make: Callable[[], Server], context: ssl.SSLContext | None) -> int:
        server = await loop.create_server(make, "127.0.0.1", 0, ssl=context, backlog=4096)
        port: int = server.sockets[0].getsockname()[1]
        return port

    with tempfile.TemporaryDirectory() as folder:
        ca_file = Path(folder) / "ca.pem"
        authority.cert_pem.write_to_path(str(ca_file))
        ports = {
            "https": await listen(Receiver, tls),
            "http": await listen(Receiver, None),
            "aws": await listen(Aws, None),
        }
        sys.stdout.write(json.dumps({**ports, "ca_file": str(ca_file)}) + "\n")
        sys.stdout.flush()
        # ends with the benchmark, which closes the pipe
        await loop.run_in_executor(None, sys.stdin.buffer.read)


if __name__ == "__main__":
    if len(cores := sorted(os.sched_getaffinity(0))) > 1:
        os.sched_setaffinity(0, cores[1:])  # the first one is for the measured process
    asyncio.run(serve())
