"""Broken, endless, slow or missing responses are failed attempts with a readable sentence."""

import socket
from collections.abc import Callable, Sequence

import pytest

from posthorn.domain.models import Failure
from posthorn.transport.http import Client
from tests.unit.transport.posts import PRIVATE, post_to, send
from tests.unit.transport.receivers import (
    OK,
    Connection,
    Receiver,
    answering,
    answering_once,
    dripping,
    endless,
    hanging,
    stalling,
)


def resetting(connection: Connection) -> None:
    connection.request()
    connection.reset()


def early(connection: Connection) -> None:
    """Respond without reading the body."""
    connection.head()
    connection.send(b"HTTP/1.1 413 Too Large\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
    connection.await_end()


class TestFailure:
    @pytest.mark.parametrize(
        ("script", "failure", "error", "status"),
        [
            (answering_once(b""), Failure.NETWORK, "the connection was closed without a response", None),
            (resetting, Failure.NETWORK, "connection reset by the receiver", None),
            (answering_once(b"SSH-2.0-OpenSSH\r\n"), Failure.NETWORK, "the response is not HTTP/1.1", None),
            (
                answering_once(b"\x00\xff\x16\x03" * 5000),
                Failure.NETWORK,
                "the response is not HTTP/1.1",
                None,
            ),
            (
                answering_once(b"HTTP/1.1 200 OK\r\nX-A: " + b"b" * 65536 + b"\r\n\r\n"),
                Failure.NETWORK,
                "the response headers are too large",
                200,
            ),
            (
                answering_once(b"HTTP/1.1 200 OK\r\n"),
                Failure.NETWORK,
                "the connection was closed before the end of the response",
                200,
            ),
            (
                answering_once(b"HTTP/1.1 200 OK\r\nContent-Le"),
                Failure.NETWORK,
                "the connection was closed before the end of the response",
                200,
            ),
            (
                answering_once(b"HTTP/1.1 200 OK\r\nServer: x\r\n"),
                Failure.NETWORK,
                "the connection was closed before the end of the response",
                200,
            ),
            (
                answering_once(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n\r\nxyz"),
                Failure.NETWORK,
                "the response is not HTTP/1.1",
                None,
            ),
            (
                endless(b"HTTP/1.1 200 OK\r\n", b"X-A: b\r\n" * 50),
                Failure.NETWORK,
                "the response headers are too large",
                200,
            ),
            (
                endless(b"HTTP/1.1 200 OK\r\nX-A: ", b"b" * 5000),
                Failure.NETWORK,
                "the response headers are too large",
                200,
            ),
            (
                endless(b"HTTP/1.1 100 Continue\r\n\r\n"),
                Failure.NETWORK,
                "the response headers are too large",
                None,
            ),
        ],
    )
    def test_an_invalid_response(
        self,
        client: Client,
        script: Callable[[Connection], None],
        failure: Failure,
        error: str,
        status: int | None,
    ) -> None:
        """A broken or endless response is a failed attempt with a sentence, even after a good status."""
        with Receiver(script) as receiver:
            outcome = send(client, post_to(receiver.url()))
        assert (outcome.failure, outcome.error, outcome.status) == (failure, error, status)

    @pytest.mark.parametrize(
        ("script", "error", "status"),
        [
            (hanging, "no response within 0.2 s", None),
            (stalling(b"HTTP/1.1 200 OK\r\n"), "no complete response within 0.2 s", 200),
            (dripping(b"HTTP/1.1 100 Continue\r\n\r\n"), "no response within 0.2 s", None),
            (dripping(b"HTTP/1.1 200 OK\r\n", b"X-A: b\r\n"), "no complete response within 0.2 s", 200),
        ],
    )
    def test_the_deadline_ends_everything(
        self, client: Client, script: Callable[[Connection], None], error: str, status: int | None
    ) -> None:
        """One deadline covers interim responses and the head; a status line alone does not save the attempt."""
        with Receiver(script) as receiver:
            outcome = send(client, post_to(receiver.url()), deadline=0.2)
        assert (outcome.failure, outcome.error, outcome.status) == (Failure.TIMEOUT, error, status)

    @pytest.mark.parametrize(
        "line",
        [
            b"HTTP/1.1 2000 OK",
            b"HTTP/1.1 200OK",
            b"HTTP/1.1\t200 OK",
            b"HTTP/1.1 20 OK",
            b"HTTP/1.1 000 OK",
            b"HTTP/1.1 099 OK",
            b"HTTP/1.1 +200 OK",
            b"HTTP/1.1 -200 OK",
            b"HTTP/1.1 0x200 OK",
            b"HTTP/1.1 abc",
            b"HTTP/1.1",
            b"HTTP/1.1  200 OK",
            b"HTTP/1.2 200 OK",
            b"HTTP/2 200 OK",
            b"HTTP/11.1 200 OK",
            b"http/1.1 200 OK",
            b"ICY 200 OK",
            b"HTTP/1.1 200\x00OK",
        ],
    )
    def test_an_invalid_status_line(self, client: Client, line: bytes) -> None:
        """An invalid status line is a failed attempt, never a delivery."""
        with Receiver(answering_once(line + b"\r\nContent-Length: 0\r\n\r\n")) as receiver:
            outcome = send(client, post_to(receiver.url()))
        assert (outcome.failure, outcome.error) == (Failure.NETWORK, "the response is not HTTP/1.1")

    def test_a_silent_tls_port(self, client: Client) -> None:
        """The deadline also covers the TLS handshake."""
        with Receiver(Connection.await_close) as receiver:
            outcome = send(client, post_to(f"https://127.0.0.1:{receiver.port}/"), deadline=0.2)
        assert (outcome.failure, outcome.error) == (Failure.TIMEOUT, "no TLS handshake within 0.2 s")

    def test_a_full_port(self, client: Client) -> None:
        """The deadline also covers connecting."""
        with socket.create_server(("127.0.0.1", 0), backlog=0) as listener:
            port = listener.getsockname()[1]
            waiting = []
            for _ in range(3):  # the kernel then drops new connections
                waiting.append(socket.socket())
                waiting[-1].setblocking(False)
                waiting[-1].connect_ex(("127.0.0.1", port))
            outcome = send(client, post_to(f"http://127.0.0.1:{port}/"), deadline=0.2)
            for one in waiting:
                one.close()
        assert (outcome.failure, outcome.error) == (Failure.TIMEOUT, "no connection within 0.2 s")

    def test_connection_refused(self, client: Client) -> None:
        """A refused connection is reported as such, with the address that was tried."""
        with Receiver(answering(OK)) as receiver:
            url = receiver.url("hooks.acme.com")
        outcome = send(client, post_to(url))
        assert (outcome.failure, outcome.error) == (Failure.CONNECT, "connection refused")
        assert (outcome.status, outcome.address) == (None, "127.0.0.1")

    def test_the_next_address_is_tried(self, client: Client, resolved: dict[str, Sequence[str]]) -> None:
        """If a name's first address is dead, the next one is tried."""
        with Receiver(answering(OK), address="127.0.0.3") as receiver:
            resolved["hooks.acme.com"] = ["127.0.0.2", "127.0.0.3"]
            outcome = send(client, post_to(receiver.url("hooks.acme.com")))
        assert (outcome.status, outcome.address) == (200, "127.0.0.3")

    def test_an_answer_before_the_end_of_the_request(self, client: Client) -> None:
        """A receiver that responds without reading the body has responded."""
        with Receiver(early) as receiver:
            outcome = send(client, post_to(receiver.url(), b"x" * 5_000_000))
        assert (outcome.status, outcome.failure) == (413, None)

    def test_no_descriptor_left(self, ca_file: str, capfd: pytest.CaptureFixture[str]) -> None:
        """If no socket can be opened, the attempt fails, stderr stays empty, and the client goes on."""

        def open_socket(_: object) -> socket.socket:
            raise OSError(24, "Too many open files")

        client = Client(policy=PRIVATE, ca_file=ca_file, open_socket=open_socket)
        outcome = send(client, post_to("http://127.0.0.1:1/"))
        client.close()
        assert (outcome.failure, outcome.error) == (Failure.CONNECT, "the connection failed")
        assert capfd.readouterr().err == ""
