"""Webhook receivers on loopback: good, slow, broken and hostile ones.

A receiver runs one script per connection. Scripts await what they need and give up after a while, so that a
client that waits forever fails its test instead of hanging it.
"""

import datetime as dt
import socket
import ssl
import struct
import threading
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass
from typing import Self

import trustme

GIVE_UP = 20.0  # seconds

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


@dataclass(frozen=True, slots=True)
class Request:
    """A request as received."""

    line: str
    headers: tuple[tuple[str, str], ...]
    body: bytes

    def all(self, name: str) -> list[str]:
        return [value for key, value in self.headers if key.lower() == name.lower()]


class Connection:
    """The receiver's side of a connection."""

    def __init__(self, wire: socket.socket, receiver: "Receiver") -> None:
        self._wire = wire
        self._receiver = receiver
        self._unread = b""

    def head(self) -> bytes:
        """Read up to the blank line; return empty bytes at the end of the connection."""
        while b"\r\n\r\n" not in self._unread:
            if not (data := self._wire.recv(65536)):
                return b""
            self._unread += data
        head, self._unread = self._unread.split(b"\r\n\r\n", 1)
        return head

    def request(self) -> Request | None:
        """Read and record a whole request; return None at the end of the connection."""
        if not (head := self.head()):
            return None
        line, *lines = head.decode("latin-1").split("\r\n")
        headers = tuple((name, value.strip()) for name, _, value in (text.partition(":") for text in lines))
        length = int(next(value for name, value in headers if name.lower() == "content-length"))
        while len(self._unread) < length:
            self._unread += self._wire.recv(65536)
        request = Request(line, headers, self._unread[:length])
        self._unread = self._unread[length:]
        self._receiver.requests.append(request)
        return request

    def send(self, data: bytes) -> None:
        self._wire.sendall(data)

    def drip(self, parts: Iterable[bytes]) -> None:
        """Send the parts slowly, one after the other, until they run out or the client disconnects."""
        for part in parts:
            self.send(part)
            if self._receiver.closing.wait(0.02):
                return

    def await_close(self) -> None:
        """Wait until the client disconnects."""
        while self._wire.recv(65536):
            pass
        self._receiver.gone.set()

    def await_end(self) -> None:
        """Do nothing, not even read, until the test is over."""
        self._receiver.closing.wait(GIVE_UP)

    def reset(self) -> None:
        """Reset the connection: the client gets a RST."""
        self._wire.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self._wire.close()


def tls_server(
    authority: trustme.CA, *names: str, start: dt.datetime | None = None, end: dt.datetime | None = None
) -> ssl.SSLContext:
    """Return the server's TLS context, with a certificate for these hosts."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert(*names, not_before=start, not_after=end).configure_cert(context)
    return context


type Script = Callable[[Connection], None]


def answering(answer: bytes) -> Script:
    """Answer every request of a connection with these bytes."""

    def script(connection: Connection) -> None:
        while connection.request() is not None:
            connection.send(answer)

    return script


def answering_once(answer: bytes) -> Script:
    """Answer one request, then close the connection."""

    def script(connection: Connection) -> None:
        connection.request()
        connection.send(answer)

    return script


def hanging(connection: Connection) -> None:
    """Read the request and never answer."""
    connection.request()
    connection.await_close()


def endless(*parts: bytes) -> Script:
    """Send the first part once, then the last one forever, as fast as possible."""

    def script(connection: Connection) -> None:
        connection.request()
        connection.send(parts[0])
        while True:
            connection.send(parts[-1])

    return script


def dripping(*parts: bytes) -> Script:
    """Send the first part, then the last again and again, slowly; then end normally."""

    def script(connection: Connection) -> None:
        connection.request()
        connection.drip([parts[0], *[parts[-1]] * 1000])

    return script


def stalling(beginning: bytes) -> Script:
    """Begin a response and stop."""

    def script(connection: Connection) -> None:
        connection.request()
        connection.send(beginning)
        connection.await_close()

    return script


class Receiver:
    """A server on loopback that runs for the duration of its `with` block."""

    def __init__(
        self, script: Script, *, tls: ssl.SSLContext | None = None, address: str = "127.0.0.1", port: int = 0
    ) -> None:
        self.requests: list[Request] = []
        self.connections = 0
        self.closing = threading.Event()
        self.gone = threading.Event()  # the expected disconnect of the client
        self.address = address
        self._script = script
        self._tls = tls
        self._listener = socket.create_server((address, port), backlog=256)
        self.port: int = self._listener.getsockname()[1]
        self._threads: list[threading.Thread] = []
        self._open: set[socket.socket] = set()

    def url(self, host: str | None = None, path: str = "/hook") -> str:
        return f"{'https' if self._tls else 'http'}://{host or self.address}:{self.port}{path}"

    def __enter__(self) -> Self:
        self._spawn(self._accept)
        return self

    def __exit__(self, *_: object) -> None:
        self.closing.set()
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)  # wakes accept()
        for wire in tuple(self._open):
            with suppress(OSError):
                wire.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join()
        self._listener.close()

    def _spawn(self, target: Callable[..., None], *args: object) -> None:
        thread = threading.Thread(target=target, args=args, daemon=True)
        self._threads.append(thread)
        thread.start()

    def _accept(self) -> None:
        while not self.closing.is_set():
            try:
                wire, _ = self._listener.accept()
            except OSError:
                return
            self.connections += 1
            self._open.add(wire)
            self._spawn(self._serve, wire)

    def _serve(self, wire: socket.socket) -> None:
        wire.settimeout(GIVE_UP)
        with suppress(OSError):  # the client disconnected or refused our certificate
            if self._tls is None:
                self._script(Connection(wire, self))
            else:
                # Wrapping moves the descriptor to a new socket, so shut that one down later.
                with self._tls.wrap_socket(wire, server_side=True, do_handshake_on_connect=False) as secure:
                    self._open.add(secure)
                    try:
                        secure.do_handshake()
                    except ssl.SSLError:
                        # closing with unread bytes resets the connection, and the client loses our alert
                        while socket.socket.recv(secure, 65536):
                            pass
                        raise
                    self._script(Connection(secure, self))
                    self._open.discard(secure)
        self._open.discard(wire)
        wire.close()
