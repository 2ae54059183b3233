"""One attempt, as receivers of every kind see it, and what is kept of it."""

import datetime as dt
import gzip
import socket
import ssl
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import certifi
import pycurl
import pytest
import trustme

from posthorn.errors import NameNotResolved, RefusedTarget
from posthorn.models import Failure, Outcome
from posthorn.transport import http
from posthorn.transport.addresses import Policy, Target, parse_target
from posthorn.transport.exchange import Exchange, open_socket
from posthorn.transport.faults import Circumstances, failure_of, sentence_for
from posthorn.transport.http import Client, Post
from posthorn.transport.names import Lookups
from tests.unit.receivers import (
    GIVE_UP,
    OK,
    Connection,
    Receiver,
    answering,
    answering_once,
    hanging,
    tls_server,
)
from tests.unit.vectors import Vector, each, is_public, resolver_of

PUBLIC = Policy()
PRIVATE = Policy(allow_private=True)
JSON = (("Content-Type", "application/json"),)
LONG = GIVE_UP * 2  # a deadline that no test is to reach


@pytest.fixture(scope="session")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture(scope="session")
def ca_file(authority: trustme.CA, tmp_path_factory: pytest.TempPathFactory) -> str:
    path = tmp_path_factory.mktemp("trust") / "roots.pem"
    authority.cert_pem.write_to_path(str(path))
    return str(path)


@pytest.fixture
def resolved() -> dict[str, Sequence[str]]:
    """Say what DNS answers, by host; it is 127.0.0.1 where nothing else is put in."""
    return {}


@pytest.fixture
def client(ca_file: str, resolved: dict[str, Sequence[str]]) -> Iterator[Client]:
    made = Client(policy=PRIVATE, resolver=lambda host: resolved.get(host, ["127.0.0.1"]), ca_file=ca_file)
    yield made
    made.close()


def post_to(url: str, body: bytes = b"{}", headers: tuple[tuple[str, str], ...] = JSON) -> Post:
    return Post(parse_target(url, PRIVATE), headers, body)


def send(client: Client, post: Post, *, deadline: float = LONG) -> Outcome:
    [(_, outcome)] = client.send([(None, post)], deadline=deadline)
    return outcome


class TestRequest:
    def test_goes_out_as_it_was_made(self, client: Client) -> None:
        """Path, headers and body reach the receiver unchanged, and next to nothing is added."""
        headers = (*JSON, ("User-Agent", "SMASHSEND-Webhook/1.0"), ("X-Empty", ""), ("webhook-id", "evt_1"))
        body = b'{"n":"\x00\xff"}'
        with Receiver(answering(OK)) as receiver:
            post = post_to(receiver.url("hooks.acme.com", "/a/../b//c?d=%2F&e='(;[f]"), body, headers)
            assert send(client, post).status == 200
            [request] = receiver.requests
        assert request.line == "POST /a/../b//c?d=%2F&e='(;[f] HTTP/1.1"
        assert request.body == body
        assert request.headers == (
            ("Host", f"hooks.acme.com:{receiver.port}"),
            ("Accept", "*/*"),
            ("Accept-Encoding", "identity"),
            *headers,
            ("Content-Length", str(len(body))),
        )

    def test_adds_nothing_that_was_left_out(self, client: Client) -> None:
        """The client has no content type and no user agent of its own, and an empty body is sent as such."""
        with Receiver(answering(OK)) as receiver:
            send(client, post_to(receiver.url(), b"", ()))
            [request] = receiver.requests
        assert [name for name, _ in request.headers] == [
            "Host",
            "Accept",
            "Accept-Encoding",
            "Content-Length",
        ]

    def test_a_large_body_is_sent_unasked(self, client: Client) -> None:
        """No `Expect: 100-continue`, which would cost a second wherever it is not understood."""
        body = b"x" * 2_000_000
        with Receiver(answering(OK)) as receiver:
            assert send(client, post_to(receiver.url(), body)).status == 200
            [request] = receiver.requests
        assert request.body == body
        assert request.all("Expect") == []

    def test_a_handle_carries_nothing_over(self, client: Client) -> None:
        """Neither cookies nor headers nor bodies of one POST appear in the next."""
        cookie = b"HTTP/1.1 200 OK\r\nSet-Cookie: a=b; Path=/\r\nContent-Length: 0\r\n\r\n"
        with Receiver(answering(cookie)) as receiver:
            send(client, post_to(receiver.url(), b"first", (*JSON, ("X-First", "1"))))
            send(client, post_to(receiver.url(), b"", ()))
            second = receiver.requests[1]
        assert second.body == b""
        assert second.all("Cookie") + second.all("X-First") + second.all("Content-Type") == []

    def test_the_environment_has_no_say(self, client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
        """A proxy in the environment is not used: it would see everything and resolve names for itself."""
        with Receiver(answering(OK)) as proxy, Receiver(answering(OK)) as receiver:
            for name in ("http_proxy", "https_proxy", "all_proxy", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
                monkeypatch.setenv(name, f"http://127.0.0.1:{proxy.port}")
            assert send(client, post_to(receiver.url("hooks.acme.com"))).status == 200
            assert (len(receiver.requests), proxy.connections) == (1, 0)

    @pytest.mark.parametrize(
        "header",
        [
            ("X-Injected", "a\r\nX-Other: b"),
            ("X-Injected", "a\nb"),
            ("X-Injected", "a\0b"),
            ("X-Injected", "ü"),
            ("X Spaced", "a"),
            ("X-Colon:", "a"),
            ("", "a"),
            ("Host", "127.0.0.1"),
            ("content-length", "1"),
            ("Transfer-Encoding", "chunked"),
            ("Expect", "100-continue"),
        ],
    )
    def test_a_header_that_could_change_the_request_is_a_mistake(self, header: tuple[str, str]) -> None:
        """Such a header never gets as far as a connection."""
        with pytest.raises(ValueError, match="header"):
            post_to("http://127.0.0.1/", headers=(header,))

    def test_what_can_be_a_credential_is_not_shown(self) -> None:
        """Neither path, headers nor body appear when a request is printed."""
        post = post_to("https://hooks.acme.com/CANARY?CANARY", b"CANARY", (("X-Token", "CANARY"),))
        assert "hooks.acme.com" in repr(post)
        assert "CANARY" not in repr(post)

    def test_a_body_is_let_go(self, client: Client) -> None:
        """A handle that waits for its next use does not keep a body of up to 256 KB."""
        body = b"x" * 100_000
        with Receiver(answering(OK)) as receiver:
            before = sys.getrefcount(body)
            send(client, post_to(receiver.url(), body))
            assert sys.getrefcount(body) == before


class TestAnswer:
    def test_keeps_what_the_log_shows(self, client: Client) -> None:
        """Status, address, times, the listed headers and the beginning of the body."""
        answer = (
            b"HTTP/1.1 202 Accepted\r\nContent-Type: text/plain\r\nX-REQUEST-ID: r1\r\nSet-Cookie: secret\r\n"
            b"Server: a\r\nServer: b\r\nContent-Length: 5\r\n\r\nhello"
        )
        with Receiver(answering(answer)) as receiver:
            outcome = send(client, post_to(receiver.url("hooks.acme.com")))
        assert (outcome.status, outcome.failure, outcome.error) == (202, None, None)
        assert outcome.address == "127.0.0.1"
        assert outcome.headers == (
            ("content-type", "text/plain"),
            ("x-request-id", "r1"),
            ("server", "a"),
            ("content-length", "5"),
        )
        assert outcome.snippet == "hello"
        times = outcome.timings
        assert 0 <= times.dns <= times.connect <= times.tls <= times.first_byte <= times.total

    @pytest.mark.parametrize("status", [201, 204, 304, 400, 401, 404, 407, 410, 417, 429, 500, 503, 599])
    def test_any_status_is_an_answer(self, client: Client, status: int) -> None:
        """What a status means is decided elsewhere, and none makes the client act by itself."""
        challenge = b"WWW-Authenticate: Basic\r\nProxy-Authenticate: Basic\r\nRetry-After: 0\r\n"
        with Receiver(
            answering(b"HTTP/1.1 %d X\r\n%sContent-Length: 0\r\n\r\n" % (status, challenge))
        ) as receiver:
            outcome = send(client, post_to(receiver.url()))
            assert len(receiver.requests) == 1
        assert (outcome.status, outcome.failure) == (status, None)

    @each("redirect")
    def test_a_redirect_is_not_followed(
        self, client: Client, authority: trustme.CA, resolved: dict[str, Sequence[str]], vector: Vector
    ) -> None:
        """A 3xx is an answer: its Location is noted and nothing is sent there."""
        target = parse_target(vector.url, PUBLIC)
        hop = vector.http[0]
        with Receiver(answering(OK)) as elsewhere:
            resolved.update({host: ["127.0.0.1"] for host in vector.dns})
            location = hop["location"].replace("//169.254.169.254", f"//127.0.0.1:{elsewhere.port}").encode()
            answer = b"HTTP/1.1 %d X\r\nLocation: %s\r\nContent-Length: 0\r\n\r\n" % (hop["status"], location)
            with Receiver(answering(answer), tls=tls_server(authority, target.host)) as receiver:
                outcome = send(client, Post(replace(target, port=receiver.port), JSON, b"{}"))
                assert (len(receiver.requests), elsewhere.connections) == (1, 0)
        assert (outcome.status, outcome.failure) == (hop["status"], None)
        assert dict(outcome.headers)["location"] == location.decode()

    def test_interim_answers_and_trailers_are_passed_over(self, client: Client) -> None:
        """Only the head of the final answer counts, though its sender says more before and after."""
        answer = (
            b"HTTP/1.1 100 Continue\r\nServer: interim\r\n\r\nHTTP/1.1 103 Early Hints\r\nVia: interim\r\n\r\n"
            b"HTTP/1.1 200 OK\r\nDate: now\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\nServer: trailer\r\n\r\n"
        )
        with Receiver(answering(answer)) as receiver:
            outcome = send(client, post_to(receiver.url()))
        assert (outcome.status, outcome.headers, outcome.snippet) == (200, (("date", "now"),), "abc")

    def test_a_strangers_text_is_made_harmless(self, client: Client) -> None:
        """Controls and reordering marks become replacement characters, and broken UTF-8 too."""
        body = b"a\tb\r\nc\x1b[31md\x00\xff" + "e\u202ef\u009bg".encode()
        answer = b"HTTP/1.1 200 OK\r\nServer: x\x1b]0;y\xff\r\nContent-Length: %d\r\n\r\n%s" % (
            len(body),
            body,
        )
        with Receiver(answering(answer)) as receiver:
            outcome = send(client, post_to(receiver.url()))
        assert outcome.snippet == "a\tb\nc\ufffd[31md\ufffd\ufffde\ufffdf\ufffdg"
        assert dict(outcome.headers)["server"] == "x\ufffd]0;y\ufffd"

    def test_long_texts_are_cut(self, client: Client) -> None:
        """A kilobyte of body, not through the middle of a character, and 256 characters of a header."""
        body = ("x" + "ü" * 2000).encode()
        answer = b"HTTP/1.1 307 X\r\nLocation: %s\r\nContent-Length: %d\r\n\r\n%s" % (
            b"l" * 999,
            len(body),
            body,
        )
        with Receiver(answering(answer)) as receiver:
            outcome = send(client, post_to(receiver.url()))
        assert outcome.snippet == "x" + "ü" * 511
        assert dict(outcome.headers)["location"] == "l" * 256

    def test_a_body_is_read_no_further_than_needed(self, client: Client) -> None:
        """Of 300 MB next to nothing is taken, and having read enough is no failure."""
        taken = 0

        def flooding(connection: Connection) -> None:
            nonlocal taken
            connection.request()
            connection.send(b"HTTP/1.1 200 OK\r\nContent-Length: 300000000\r\n\r\n")
            while taken < 300_000_000:
                connection.send(b"x" * 100_000)
                taken += 100_000

        with Receiver(flooding) as receiver:
            outcome = send(client, post_to(receiver.url()))
        assert (outcome.status, outcome.failure, len(outcome.snippet)) == (200, None, 1024)
        assert taken < 30_000_000  # what fits into the buffers of the kernel

    def test_a_compressed_body_stays_compressed(self, client: Client) -> None:
        """A bomb of 200 KB is read like any other body and never inflated."""
        bomb = gzip.compress(b"\0" * 200_000_000, compresslevel=1)
        head = b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: %d\r\n\r\n" % len(bomb)
        with Receiver(answering_once(head + bomb)) as receiver:
            outcome = send(client, post_to(receiver.url()))
        assert (outcome.status, outcome.failure) == (200, None)
        assert outcome.snippet.startswith("\ufffd\ufffd\ufffd")  # 1f 8b 08

    def test_a_compressed_transfer_is_refused(self, client: Client) -> None:
        """A transfer encoding that was not asked for is not undone either."""
        bomb = gzip.compress(b"\0" * 1_000_000)
        chunked = b"%x\r\n%s\r\n0\r\n\r\n" % (len(bomb), bomb)
        with Receiver(
            answering_once(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n" + chunked)
        ) as receiver:
            outcome = send(client, post_to(receiver.url()))
        assert outcome.failure is Failure.NETWORK
        assert outcome.snippet == ""


def endless(*parts: bytes) -> Callable[[Connection], None]:
    """Send the first part, then the last for ever, as fast as it goes."""

    def script(connection: Connection) -> None:
        connection.request()
        connection.send(parts[0])
        while True:
            connection.send(parts[-1])

    return script


def dripping(*parts: bytes) -> Callable[[Connection], None]:
    """Send the first part, then the last again and again, slowly; then end as if all were well."""

    def script(connection: Connection) -> None:
        connection.request()
        connection.drip([parts[0], *[parts[-1]] * 1000])

    return script


def resetting(connection: Connection) -> None:
    connection.request()
    connection.reset()


def early(connection: Connection) -> None:
    """Answer without reading the body."""
    connection.head()
    connection.send(b"HTTP/1.1 413 Too Large\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
    connection.await_end()


class TestFailure:
    @pytest.mark.parametrize(
        ("script", "failure", "error", "status"),
        [
            (answering_once(b""), Failure.NETWORK, "the connection was closed without an answer", None),
            (resetting, Failure.NETWORK, "connection reset by the receiver", None),
            (answering_once(b"SSH-2.0-OpenSSH\r\n"), Failure.NETWORK, "the answer is not HTTP/1.1", None),
            (
                answering_once(b"HTTP/1.1 200 OK\r\nContent-Le"),
                Failure.NETWORK,
                "the connection was closed before the end of the answer",
                200,
            ),
            (
                answering_once(b"HTTP/1.1 200 OK\r\nServer: x\r\n"),
                Failure.NETWORK,
                "the connection was closed before the end of the answer",
                200,
            ),
            (
                answering_once(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nabc"),
                Failure.NETWORK,
                "the connection was closed before the end of the answer",
                200,
            ),
            (
                answering_once(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n\r\nxyz"),
                Failure.NETWORK,
                "the answer is not HTTP/1.1",
                None,
            ),
            (
                endless(b"HTTP/1.1 200 OK\r\n", b"X-A: b\r\n" * 50),
                Failure.NETWORK,
                "the headers of the answer are too large",
                200,
            ),
            (
                endless(b"HTTP/1.1 200 OK\r\nX-A: ", b"b" * 5000),
                Failure.NETWORK,
                "the headers of the answer are too large",
                200,
            ),
            (
                endless(b"HTTP/1.1 100 Continue\r\n\r\n"),
                Failure.NETWORK,
                "the headers of the answer are too large",
                None,
            ),
        ],
    )
    def test_an_answer_that_is_none(
        self,
        client: Client,
        script: Callable[[Connection], None],
        failure: Failure,
        error: str,
        status: int | None,
    ) -> None:
        """What is broken or endless is a failed attempt with a sentence for the customer, even after a good status."""
        with Receiver(script) as receiver:
            outcome = send(client, post_to(receiver.url()))
        assert (outcome.failure, outcome.error, outcome.status) == (failure, error, status)

    @pytest.mark.parametrize(
        ("script", "error", "status"),
        [
            (hanging, "no answer within 0.2 s", None),
            (dripping(b"HTTP/1.1 100 Continue\r\n\r\n"), "no answer within 0.2 s", None),
            (dripping(b"HTTP/1.1 200 OK\r\n", b"X-A: b\r\n"), "no end of the answer within 0.2 s", 200),
            (dripping(b"HTTP/1.1 200 OK\r\n\r\n", b"x"), "no end of the answer within 0.2 s", 200),
        ],
    )
    def test_the_deadline_ends_everything(
        self, client: Client, script: Callable[[Connection], None], error: str, status: int | None
    ) -> None:
        """One deadline covers interim answers, headers and body; a status that came in time does not save the attempt."""
        with Receiver(script) as receiver:
            outcome = send(client, post_to(receiver.url()), deadline=0.2)
        assert (outcome.failure, outcome.error, outcome.status) == (Failure.TIMEOUT, error, status)

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
            for _ in range(3):  # then the kernel drops what comes
                waiting.append(socket.socket())
                waiting[-1].setblocking(False)
                waiting[-1].connect_ex(("127.0.0.1", port))
            outcome = send(client, post_to(f"http://127.0.0.1:{port}/"), deadline=0.2)
            for one in waiting:
                one.close()
        assert (outcome.failure, outcome.error) == (Failure.TIMEOUT, "no connection within 0.2 s")

    def test_connection_refused(self, client: Client) -> None:
        """A port where nobody listens is said to be one, with the address that was tried."""
        with Receiver(answering(OK)) as receiver:
            url = receiver.url("hooks.acme.com")
        outcome = send(client, post_to(url))
        assert (outcome.failure, outcome.error) == (Failure.CONNECT, "connection refused")
        assert (outcome.status, outcome.address) == (None, "127.0.0.1")

    def test_the_next_address_is_tried(self, client: Client, resolved: dict[str, Sequence[str]]) -> None:
        """A name with a dead address is reached by its next."""
        with Receiver(answering(OK), address="127.0.0.3") as receiver:
            resolved["hooks.acme.com"] = ["127.0.0.2", "127.0.0.3"]
            outcome = send(client, post_to(receiver.url("hooks.acme.com")))
        assert (outcome.status, outcome.address) == (200, "127.0.0.3")

    def test_an_answer_before_the_end_of_the_request(self, client: Client) -> None:
        """A receiver that refuses a body without reading it has answered."""
        with Receiver(early) as receiver:
            outcome = send(client, post_to(receiver.url(), b"x" * 5_000_000))
        assert (outcome.status, outcome.failure) == (413, None)

    def test_no_descriptor_left(self, ca_file: str, capfd: pytest.CaptureFixture[str]) -> None:
        """When no socket can be made, the attempt fails without a word on stderr, and the client goes on."""

        def open_socket(_: object) -> socket.socket:
            raise OSError(24, "Too many open files")

        client = Client(policy=PRIVATE, ca_file=ca_file, open_socket=open_socket)
        outcome = send(client, post_to("http://127.0.0.1:1/"))
        client.close()
        assert (outcome.failure, outcome.error) == (Failure.CONNECT, "no connection could be made")
        assert capfd.readouterr().err == ""


class TestTls:
    def test_the_name_is_asked_for_and_verified(self, client: Client, authority: trustme.CA) -> None:
        """TLS is for the name in the URL, though the address is dialled."""
        asked: list[str | None] = []
        context = tls_server(authority, "hooks.acme.com")
        context.sni_callback = lambda _socket, name, _context: asked.append(name)
        with Receiver(answering(OK), tls=context) as receiver:
            outcome = send(client, post_to(receiver.url("hooks.acme.com")))
            assert receiver.requests[0].all("Host") == [f"hooks.acme.com:{receiver.port}"]
        assert (outcome.status, outcome.failure) == (200, None)
        assert asked == ["hooks.acme.com"]

    def test_an_address_can_have_a_certificate(self, client: Client, authority: trustme.CA) -> None:
        """A URL with an address in it is verified against the addresses of the certificate."""
        with Receiver(answering(OK), tls=tls_server(authority, "127.0.0.1")) as receiver:
            assert send(client, post_to(receiver.url())).status == 200
        with Receiver(answering(OK), tls=tls_server(authority, "127.0.0.9")) as receiver:
            assert send(client, post_to(receiver.url())).failure is Failure.TLS

    @pytest.mark.parametrize(
        ("names", "validity", "error"),
        [
            (["other.acme.com"], (2020, 2999), "the certificate is not valid for hooks.acme.com"),
            (["hooks.acme.com"], (2019, 2020), "the certificate has expired"),
            (["hooks.acme.com"], (2998, 2999), "the certificate is not valid yet"),
        ],
    )
    def test_a_bad_certificate_gets_nothing(
        self, client: Client, authority: trustme.CA, names: list[str], validity: tuple[int, int], error: str
    ) -> None:
        """A wrong name or date ends the attempt before the request is sent, and the customer reads which it was."""
        start, end = (dt.datetime(year, 1, 1, tzinfo=dt.UTC) for year in validity)
        context = tls_server(authority, *names, start=start, end=end)
        with Receiver(answering(OK), tls=context) as receiver:
            outcome = send(client, post_to(receiver.url("hooks.acme.com")))
            assert receiver.requests == []
        assert (outcome.failure, outcome.error, outcome.status) == (Failure.TLS, error, None)

    def test_an_unknown_authority_gets_nothing(self, client: Client) -> None:
        """A certificate that leads to no trusted root is refused."""
        with Receiver(answering(OK), tls=tls_server(trustme.CA(), "hooks.acme.com")) as receiver:
            outcome = send(client, post_to(receiver.url("hooks.acme.com")))
            assert receiver.requests == []
        assert outcome.failure is Failure.TLS
        assert outcome.error is not None
        assert outcome.error.startswith("the certificate is not trusted")

    def test_the_default_roots_are_those_of_certifi(
        self, authority: trustme.CA, ca_file: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Without a file of its own the client trusts the authorities that certifi lists, and no others."""
        for roots, failure in ((certifi.where(), Failure.TLS), (ca_file, None)):
            monkeypatch.setattr(certifi, "where", lambda roots=roots: roots)
            client = Client(policy=PRIVATE, resolver=lambda _: ["127.0.0.1"])
            with Receiver(answering(OK), tls=tls_server(authority, "hooks.acme.com")) as receiver:
                outcome = send(client, post_to(receiver.url("hooks.acme.com")))
            client.close()
            assert outcome.failure is failure

    def test_old_tls_is_refused(self, client: Client, authority: trustme.CA) -> None:
        """TLS 1.2 is the least."""
        context = tls_server(authority, "hooks.acme.com")
        with pytest.deprecated_call():
            context.minimum_version = ssl.TLSVersion.TLSv1
            context.maximum_version = ssl.TLSVersion.TLSv1_1
        context.set_ciphers("ALL:@SECLEVEL=0")  # or the receiver itself would not dare
        with Receiver(answering(OK), tls=context) as receiver:
            outcome = send(client, post_to(receiver.url("hooks.acme.com")))
        assert (outcome.failure, outcome.error) == (Failure.TLS, "TLS handshake failed")

    def test_plain_http_on_a_tls_port(self, client: Client) -> None:
        """A receiver that speaks no TLS gets no second try without."""
        with Receiver(lambda connection: connection.send(b"HTTP/1.1 400 Bad\r\n\r\n")) as receiver:
            outcome = send(client, post_to(f"https://127.0.0.1:{receiver.port}/"))
        assert (outcome.failure, outcome.error) == (Failure.TLS, "TLS handshake failed")

    def test_a_missing_trust_store_is_our_fault(self, tmp_path: Path, authority: trustme.CA) -> None:
        """Nothing is sent unverified, and the customer is not blamed."""
        client = Client(policy=PRIVATE, resolver=lambda _: ["127.0.0.1"], ca_file=str(tmp_path / "none.pem"))
        with Receiver(answering(OK), tls=tls_server(authority, "hooks.acme.com")) as receiver:
            outcome = send(client, post_to(receiver.url("hooks.acme.com")))
            assert receiver.requests == []
        client.close()
        assert outcome.error == "the attempt could not be made, and the fault is on our side"


class Dialler:
    """Notes every address that a socket is asked for, and gives none."""

    def __init__(self) -> None:
        self.dialled: list[str] = []

    def __call__(self, peer: pycurl.CurlSockAddr) -> socket.socket:
        self.dialled.append(str(peer.addr[0]))
        raise OSError("no socket for a test")


class TestGuard:
    @each("url", "dns", "rebind", "redirect")
    def test_no_vector_reaches_an_address_that_is_not_public(self, vector: Vector, ca_file: str) -> None:
        """Delivering twice to whatever the URL is, with whatever DNS says, dials public addresses only, or none."""
        dialler = Dialler()
        client = Client(policy=PUBLIC, resolver=resolver_of(vector), ca_file=ca_file, open_socket=dialler)
        outcomes = []
        for _ in range(2):
            try:
                outcomes.append(send(client, Post(parse_target(vector.url, PUBLIC), JSON, b"{}")))
            except RefusedTarget:
                assert vector.expect == "deny" or not vector.is_binding
        client.close()
        assert [address for address in dialler.dialled if not is_public(address)] == []
        assert not set(dialler.dialled) & set(vector.never_dial)
        assert set(vector.must_dial) <= set(dialler.dialled)
        if vector.is_binding and vector.stage != "redirect":
            assert bool(dialler.dialled) == (vector.expect == "allow")
        for outcome in outcomes:
            assert outcome.failure in {Failure.CONNECT, Failure.BLOCKED_ADDRESS, Failure.DNS}

    def test_a_refused_address_opens_no_socket(self, ca_file: str) -> None:
        """A name that leads to a private address is a blocked attempt, and says which rule it broke."""
        dialler = Dialler()
        client = Client(
            policy=PUBLIC, resolver=lambda _: ["8.8.8.8", "10.0.0.1"], ca_file=ca_file, open_socket=dialler
        )
        outcome = send(client, Post(parse_target("https://hooks.acme.com/CANARY", PUBLIC), JSON, b"{}"))
        client.close()
        assert (outcome.failure, outcome.status, outcome.address) == (Failure.BLOCKED_ADDRESS, None, None)
        assert outcome.error == "hooks.acme.com resolves to an address that is not public (private network)"
        assert dialler.dialled == []

    def test_an_address_is_checked_again_when_it_is_dialled(self, ca_file: str) -> None:
        """A target that was read under a laxer policy is stopped here."""
        dialler = Dialler()
        client = Client(policy=PUBLIC, ca_file=ca_file, open_socket=dialler)
        outcome = send(client, Post(parse_target("https://127.0.0.1/", PRIVATE), JSON, b"{}"))
        client.close()
        assert (outcome.failure, dialler.dialled) == (Failure.BLOCKED_ADDRESS, [])

    def test_the_socket_is_a_gate_of_its_own(self, ca_file: str, monkeypatch: pytest.MonkeyPatch) -> None:
        """Even if vetting let a private address through, no socket is opened for it."""
        monkeypatch.setattr(http, "vet", lambda _target, _answers, _policy: ("127.0.0.1",))
        dialler = Dialler()
        client = Client(policy=PUBLIC, resolver=lambda _: ["8.8.8.8"], ca_file=ca_file, open_socket=dialler)
        outcome = send(client, Post(parse_target("https://hooks.acme.com/", PUBLIC), JSON, b"{}"))
        client.close()
        assert (outcome.failure, dialler.dialled) == (Failure.BLOCKED_ADDRESS, [])

    def test_a_host_that_libcurl_reads_differently_goes_nowhere(self, ca_file: str) -> None:
        """If the two readings of a URL ever differ, libcurl has no pin for its own and may not look it up."""
        dialler = Dialler()
        client = Client(
            policy=PRIVATE, resolver=lambda _: ["127.0.0.1"], ca_file=ca_file, open_socket=dialler
        )
        outcome = send(client, Post(Target("https", "x@localhost", 443, "/"), JSON, b"{}"))
        client.close()
        assert (outcome.failure, dialler.dialled) == (Failure.BLOCKED_ADDRESS, [])

    def test_a_public_policy_speaks_no_plain_http(self, ca_file: str) -> None:
        """A target over http, however it came about, is not sent in the clear."""
        dialler = Dialler()
        client = Client(policy=PUBLIC, resolver=lambda _: ["8.8.8.8"], ca_file=ca_file, open_socket=dialler)
        outcome = send(client, Post(Target("http", "hooks.acme.com", 80, "/"), JSON, b"{}"))
        client.close()
        assert (outcome.status, dialler.dialled) == (None, [])

    def test_a_name_that_became_private_is_not_reached_over_its_old_connection(
        self, client: Client, resolved: dict[str, Sequence[str]], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """A connection that is still open does not spare the check."""
        with Receiver(answering(OK)) as receiver:
            post = post_to(receiver.url("hooks.acme.com"))
            assert send(client, post).status == 200
            monkeypatch.setattr(client, "_policy", PUBLIC)  # from now on 127.0.0.1 is as private as it is
            resolved["hooks.acme.com"] = ["8.8.8.8", "127.0.0.1"]
            outcome = send(client, post)
            assert (len(receiver.requests), receiver.connections) == (1, 1)
        assert outcome.failure is Failure.BLOCKED_ADDRESS

    def test_a_name_that_moved_is_followed(self, client: Client, resolved: dict[str, Sequence[str]]) -> None:
        """An open connection to the address that a name has left is not used for it any more."""
        with (
            Receiver(answering(OK), address="127.0.0.1") as old,
            Receiver(answering(OK), address="127.0.0.2", port=old.port) as new,
        ):
            post = post_to(old.url("hooks.acme.com"))
            resolved["hooks.acme.com"] = ["127.0.0.1"]
            assert send(client, post).address == "127.0.0.1"
            resolved["hooks.acme.com"] = ["127.0.0.2"]
            assert send(client, post).address == "127.0.0.2"
            resolved["hooks.acme.com"] = ["127.0.0.1"]
            assert send(client, post).address == "127.0.0.1"
            assert (len(old.requests), len(new.requests), old.connections) == (2, 1, 1)

    def test_two_answers_for_one_name_at_once(self, client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
        """Two attempts at one name, vetted for different addresses, each dial their own."""
        pins = iter([("127.0.0.1",), ("127.0.0.2",)] * 10)
        monkeypatch.setattr(http, "vet", lambda _target, _answers, _policy: next(pins))
        with (
            Receiver(answering(OK), address="127.0.0.1") as one,
            Receiver(answering(OK), address="127.0.0.2", port=one.port) as two,
        ):
            post = post_to(one.url("hooks.acme.com"))
            dialled = [outcome.address for _, outcome in client.send([(None, post)] * 20, deadline=LONG)]
            assert (len(one.requests), len(two.requests)) == (10, 10)
        assert sorted(filter(None, dialled)) == ["127.0.0.1"] * 10 + ["127.0.0.2"] * 10


class TestConnections:
    def test_a_connection_is_kept(self, client: Client, authority: trustme.CA) -> None:
        """The second POST to a receiver spares the handshake."""
        with Receiver(answering(OK), tls=tls_server(authority, "hooks.acme.com")) as receiver:
            post = post_to(receiver.url("hooks.acme.com"))
            send(client, post)
            assert send(client, post).address == "127.0.0.1"
            assert (len(receiver.requests), receiver.connections) == (2, 1)

    def test_times_count_from_the_start_of_the_attempt(self, ca_file: str) -> None:
        """What went before the exchange is in every time; on a kept connection, connecting and TLS end with DNS."""
        exchange = Exchange(PRIVATE, ca_file=ca_file, open_socket=open_socket)
        with Receiver(answering(OK)) as receiver:
            post = post_to(receiver.url())
            times = []
            for _ in range(2):
                now = time.monotonic()
                exchange.begin(post, ("127.0.0.1",), started_at=now - 9, resolved_at=now - 5, deadline=LONG)
                exchange.curl.perform()
                times.append(exchange.end(pycurl.E_OK).timings)
            assert receiver.connections == 1
        exchange.curl.close()
        fresh, kept = times
        assert (fresh.dns, kept.dns, kept.connect, kept.tls) == (4000, 4000, 4000, 4000)
        assert 9000 <= fresh.connect == fresh.tls <= fresh.first_byte <= fresh.total
        assert 9000 <= kept.first_byte <= kept.total

    def test_a_closed_connection_is_not_watched(self, client: Client) -> None:
        """What is closed wakes nobody up any more; else every later wait would end at once and burn the CPU."""
        with Receiver(
            answering_once(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
        ) as receiver:
            assert send(client, post_to(receiver.url())).status == 200
        assert client._loop._poll.poll(0) == []

    def test_the_order_of_dns_does_not_cost_connections(
        self, client: Client, resolved: dict[str, Sequence[str]]
    ) -> None:
        """The same addresses in another order, as round-robin DNS gives them, are the same receiver."""
        with Receiver(answering(OK)) as receiver:
            for answer in (["127.0.0.1", "127.0.0.2"], ["127.0.0.2", "127.0.0.1"]):
                resolved["hooks.acme.com"] = answer
                assert send(client, post_to(receiver.url("hooks.acme.com"))).status == 200
            assert receiver.connections == 1

    def test_names_share_no_connection(self, client: Client) -> None:
        """Two names at one address have a connection each."""
        with Receiver(answering(OK)) as receiver:
            send(client, post_to(receiver.url("one.acme.com")))
            send(client, post_to(receiver.url("two.acme.com")))
            assert receiver.connections == 2

    @pytest.mark.parametrize("script", [answering_once(OK), pytest.param(None, id="reset")])
    def test_a_connection_that_died_idle_is_replaced(
        self, client: Client, script: Callable[[Connection], None] | None
    ) -> None:
        """Coming back to a dead connection, as after a freeze, is no failed attempt."""

        def dying(connection: Connection) -> None:
            connection.request()
            connection.send(OK)
            if connection.request() is not None:
                connection.reset()

        with Receiver(script or dying) as receiver:
            post = post_to(receiver.url())
            assert send(client, post).status == 200
            assert send(client, post).status == 200
            assert receiver.connections == 2

    def test_an_answer_nobody_asked_for_is_not_taken_for_the_next(self, client: Client) -> None:
        """What a receiver sends ahead of a request is dropped with its connection."""
        forged = b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nforged"
        with Receiver(answering(OK + forged)) as receiver:
            snippets = [send(client, post_to(receiver.url())).snippet for _ in range(3)]
        assert snippets == ["ok", "ok", "ok"]

    def test_close_closes(self, ca_file: str) -> None:
        """A closed client leaves no connection behind."""
        client = Client(policy=PRIVATE, ca_file=ca_file)

        def script(connection: Connection) -> None:
            connection.request()
            connection.send(OK)
            connection.await_close()

        with Receiver(script) as receiver:
            send(client, post_to(receiver.url()))
            client.close()
            assert receiver.gone.wait(GIVE_UP)


class TestSending:
    def test_nothing_to_send(self, client: Client) -> None:
        """No POSTs, no outcomes."""
        assert list(client.send([], deadline=LONG)) == []

    @pytest.mark.parametrize("room", [1, 2, 7])
    def test_ends_when_all_are_done(self, ca_file: str, room: int) -> None:
        """However the number of POSTs falls on the room there is, each has one outcome and then it is over."""
        client = Client(policy=PRIVATE, ca_file=ca_file, max_in_flight=room)
        with Receiver(answering(OK)) as receiver:
            post = post_to(receiver.url())
            keys = [
                key
                for key, outcome in client.send(((n, post) for n in range(14)), deadline=LONG)
                if outcome.status
            ]
        client.close()
        assert sorted(keys) == list(range(14))

    def test_a_hanging_receiver_delays_nobody(self, client: Client) -> None:
        """A receiver that answers only after fifty others have been served does not keep them from it."""
        served = threading.Event()

        def slow_script(connection: Connection) -> None:
            connection.request()
            served.wait(GIVE_UP)
            connection.send(OK)

        order = []
        with Receiver(slow_script) as slow, Receiver(answering(OK)) as healthy:
            posts = [("slow", post_to(slow.url())), *[("healthy", post_to(healthy.url()))] * 50]
            for key, outcome in client.send(posts, deadline=LONG):
                order.append((key, outcome.status))
                if len(order) == 50:
                    served.set()
        assert order == [("healthy", 200)] * 50 + [("slow", 200)]

    def test_a_hanging_name_delays_nobody(self, ca_file: str) -> None:
        """A name that resolves only after fifty others have been served does not keep them from it."""
        served = threading.Event()

        def resolver(host: str) -> list[str]:
            if host == "tarpit.acme.com":
                served.wait(GIVE_UP)
            return ["127.0.0.1"]

        client = Client(policy=PRIVATE, resolver=resolver, ca_file=ca_file)
        order = []
        with Receiver(answering(OK)) as receiver:
            hosts = ["tarpit.acme.com", *[f"h{number}.acme.com" for number in range(50)]]
            posts = [(host, post_to(receiver.url(host))) for host in hosts]
            for host, outcome in client.send(posts, deadline=LONG):
                order.append((host, outcome.status))
                if len(order) == 50:
                    served.set()
        client.close()
        assert sorted(order) == [(host, 200) for host in sorted(hosts)]
        assert order[-1] == ("tarpit.acme.com", 200)

    def test_a_name_that_hangs_for_ever(self, ca_file: str) -> None:
        """The deadline also covers DNS, whose thread is left behind."""
        over = threading.Event()

        def resolver(_: str) -> list[str]:
            over.wait(GIVE_UP)
            return ["127.0.0.1"]

        client = Client(policy=PRIVATE, resolver=resolver, ca_file=ca_file)
        with Receiver(answering(OK)) as receiver:
            outcome = send(client, post_to(receiver.url("tarpit.acme.com")), deadline=0.2)
        over.set()
        client.close()
        assert (outcome.failure, outcome.error) == (
            Failure.DNS,
            "DNS gave no answer for tarpit.acme.com in time",
        )

    def test_an_answer_of_dns_that_comes_too_late(
        self, ca_file: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """An attempt that ended at its deadline stays ended when its lookup comes back after all."""
        monkeypatch.setattr(Lookups, "cancel", lambda *_: None)  # as if it came back just then
        seen, answered = threading.Event(), threading.Event()

        def resolver(_: str) -> list[str]:
            seen.wait(GIVE_UP)
            answered.set()
            return ["127.0.0.1"]

        def posts(url: str) -> Iterator[tuple[str, Post]]:
            yield "tarpit", post_to("http://tarpit.acme.com/")
            while not seen.wait(0.01):
                yield "filler", post_to(url)
            answered.wait(GIVE_UP)
            for _ in range(20):
                yield "filler", post_to(url)

        client = Client(policy=PRIVATE, resolver=resolver, ca_file=ca_file)
        outcomes: list[tuple[str, int | None]] = []
        with Receiver(answering(OK)) as receiver:
            for key, outcome in client.send(posts(receiver.url()), deadline=1.0):
                outcomes.append((key, outcome.status))
                if key == "tarpit":
                    seen.set()
        client.close()
        assert outcomes.count(("tarpit", None)) == 1
        assert set(outcomes) == {("tarpit", None), ("filler", 200)}

    def test_the_lookup_counts_towards_the_deadline(self, ca_file: str) -> None:
        """What DNS has used up of the deadline, the receiver does not get on top."""
        exchange = Exchange(PRIVATE, ca_file=ca_file, open_socket=open_socket)
        now = time.monotonic()
        with Receiver(hanging) as receiver:
            exchange.begin(
                post_to(receiver.url()), ("127.0.0.1",), started_at=now - 90, resolved_at=now, deadline=90.0
            )
            with pytest.raises(pycurl.error) as ended:
                exchange.curl.perform()
        outcome = exchange.end(int(ended.value.args[0]))
        exchange.curl.close()
        assert outcome.failure is Failure.TIMEOUT
        assert 90_000 <= outcome.timings.dns <= outcome.timings.total

    def test_an_unknown_name(self, ca_file: str) -> None:
        """A name without an address is a DNS failure in the customer's words."""

        def resolver(host: str) -> list[str]:
            raise NameNotResolved(f"DNS knows no IPv4 address of {host}")

        client = Client(policy=PUBLIC, resolver=resolver, ca_file=ca_file)
        outcome = send(client, Post(parse_target("https://hooks.acme.com/", PUBLIC), JSON, b"{}"))
        client.close()
        assert (outcome.failure, outcome.error) == (
            Failure.DNS,
            "DNS knows no IPv4 address of hooks.acme.com",
        )

    def test_posts_are_taken_when_there_is_room(self, ca_file: str) -> None:
        """No more than `max_in_flight` are ever begun and not done, so signing happens at the last moment."""
        client = Client(policy=PRIVATE, ca_file=ca_file, max_in_flight=3)
        begun = done = peak = 0

        def posts(url: str) -> Iterator[tuple[int, Post]]:
            nonlocal begun, peak
            for number in range(20):
                begun += 1
                peak = max(peak, begun - done)
                yield number, post_to(url)

        with Receiver(answering(OK)) as receiver:
            for _ in client.send(posts(receiver.url()), deadline=LONG):
                done += 1
        client.close()
        assert (done, peak) == (20, 3)

    def test_posts_in_flight_move_while_others_are_made(self, client: Client) -> None:
        """A slow source of POSTs, say one that decrypts a secret, does not keep the earlier ones from being sent."""
        arrived = threading.Event()

        def script(connection: Connection) -> None:
            connection.request()
            arrived.set()
            connection.send(OK)

        def posts() -> Iterator[tuple[str, Post]]:
            yield "early", post_to(receiver.url())
            for _ in range(100):  # fewer than there is room for, so nothing else lets the client get on
                if arrived.wait(0.05):
                    break
                yield "filler", post_to(other.url())
            assert arrived.is_set()

        with Receiver(script) as receiver, Receiver(answering(OK)) as other:
            assert {outcome.status for _, outcome in client.send(posts(), deadline=LONG)} == {200}

    def test_an_error_in_the_source_loses_no_outcome(self, client: Client) -> None:
        """If making the next POST fails, those in flight are finished first and the error is raised after."""

        def posts() -> Iterator[tuple[str, Post]]:
            yield "first", post_to(receiver.url())
            yield "second", post_to(receiver.url())
            raise ZeroDivisionError

        seen = []

        def collect() -> None:
            for key, outcome in client.send(posts(), deadline=LONG):
                seen.append((key, outcome.status))

        with Receiver(answering(OK)) as receiver, pytest.raises(ZeroDivisionError):
            collect()
        assert sorted(seen) == [("first", 200), ("second", 200)]

    def test_a_caller_may_stop(self, client: Client) -> None:
        """Leaving the loop closes what is in flight, and the client can be used again."""
        in_flight = threading.Event()

        def slow_script(connection: Connection) -> None:
            connection.request()
            in_flight.set()
            connection.await_close()

        def healthy_script(connection: Connection) -> None:
            connection.request()
            in_flight.wait(GIVE_UP)
            connection.send(OK)

        with Receiver(slow_script) as slow, Receiver(healthy_script) as healthy:
            posts = [("slow", post_to(slow.url())), ("healthy", post_to(healthy.url()))]
            outcomes = client.send(posts, deadline=LONG)
            assert next(outcomes)[0] == "healthy"
            outcomes.close()
            assert slow.gone.wait(GIVE_UP)
            assert send(client, post_to(healthy.url())).status == 200

    def test_one_at_a_time(self, client: Client) -> None:
        """Two loops over one client would steal each other's outcomes, so the second is refused."""
        with Receiver(answering(OK)) as receiver:
            posts = [(n, post_to(receiver.url())) for n in range(2)]
            outcomes = client.send(posts, deadline=LONG)
            next(outcomes)
            with pytest.raises(RuntimeError):
                next(client.send(posts, deadline=LONG))
            assert len(list(outcomes)) == 1


NAMED = {getattr(pycurl, name) for name in dir(pycurl) if name.startswith("E_")}
CODES = sorted((NAMED | set(range(1, 120))) - {pycurl.E_OK, pycurl.E_CALL_MULTI_PERFORM})


class TestFaults:
    @pytest.mark.parametrize("code", CODES)
    def test_every_code_is_a_failure_with_a_sentence(self, code: int) -> None:
        """Whatever libcurl reports, named by pycurl or not, is a kind of failure and a line without its jargon."""
        for connected in (False, True):
            at = Circumstances(
                host="hooks.acme.com", deadline=10.0, connected=connected, certificate_error=10
            )
            sentence = sentence_for(code, at)
            assert isinstance(failure_of(code), Failure)
            assert sentence
            assert "\n" not in sentence
            assert "curl" not in sentence.lower()

    @pytest.mark.parametrize(
        ("code", "failure"),
        [
            (pycurl.E_OPERATION_TIMEDOUT, Failure.TIMEOUT),
            (pycurl.E_COULDNT_RESOLVE_HOST, Failure.DNS),
            (pycurl.E_COULDNT_CONNECT, Failure.CONNECT),
            (pycurl.E_SSL_CONNECT_ERROR, Failure.TLS),
            (pycurl.E_PEER_FAILED_VERIFICATION, Failure.TLS),
            (pycurl.E_GOT_NOTHING, Failure.NETWORK),
            (pycurl.E_RECV_ERROR, Failure.NETWORK),
            (pycurl.E_ABORTED_BY_CALLBACK, Failure.BLOCKED_ADDRESS),
        ],
    )
    def test_the_kinds(self, code: int, failure: Failure) -> None:
        """Each kind of failure is told apart from the others."""
        assert failure_of(code) is failure


HEAVY = (
    "asyncio",
    "pydantic",
    "boto3",
    "botocore",
    "aws_lambda_powertools",
    "urllib3",
    "ssl",
    "http.client",
    "ipaddress",
)
IMPORTING = f"import posthorn.transport.http, sys; print([name for name in {HEAVY!r} if name in sys.modules])"


def test_importing_the_client_is_cheap() -> None:
    """Nothing heavy is imported with it: this is part of every cold start."""
    done = subprocess.run([sys.executable, "-c", IMPORTING], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
