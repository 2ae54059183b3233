"""Which parts of a response are kept, and which are never read."""

import gzip

import pytest

from posthorn.domain.models import Failure
from posthorn.transport.http import Client
from tests.unit.transport.posts import post_to, send
from tests.unit.transport.receivers import OK, Connection, Receiver, answering, answering_once


class TestAnswer:
    def test_the_logged_parts_of_a_response_are_kept(self, client: Client) -> None:
        """Status, address, times, the listed headers and the beginning of the body are kept."""
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

    @pytest.mark.parametrize(
        "status", [201, 204, 304, 400, 401, 404, 407, 410, 417, 429, 500, 503, 599, 600, 999]
    )
    def test_any_status_is_an_answer(self, client: Client, status: int) -> None:
        """Any status is a valid response; the client never acts on it."""
        challenge = b"WWW-Authenticate: Basic\r\nProxy-Authenticate: Basic\r\nRetry-After: 0\r\n"
        with Receiver(
            answering(b"HTTP/1.1 %d X\r\n%sContent-Length: 0\r\n\r\n" % (status, challenge))
        ) as receiver:
            outcome = send(client, post_to(receiver.url()))
            assert len(receiver.requests) == 1
        assert (outcome.status, outcome.failure) == (status, None)

    @pytest.mark.parametrize("status", [300, 301, 302, 303, 304, 305, 307, 308])
    @pytest.mark.parametrize("host", ["127.0.0.1", "elsewhere.acme.com"])
    def test_a_redirect_is_not_followed(self, client: Client, status: int, host: str) -> None:
        """A 3xx is a final response, wherever it leads; its Location is only recorded."""
        with Receiver(answering(OK)) as elsewhere:
            location = elsewhere.url(host)
            answer = b"HTTP/1.1 %d X\r\nLocation: %s\r\nContent-Length: 0\r\n\r\n" % (
                status,
                location.encode(),
            )
            with Receiver(answering(answer)) as receiver:
                outcome = send(client, post_to(receiver.url("hooks.acme.com")))
                assert (len(receiver.requests), elsewhere.connections) == (1, 0)
        assert (outcome.status, outcome.failure) == (status, None)
        assert dict(outcome.headers)["location"] == location

    def test_interim_answers_and_trailers_are_passed_over(self, client: Client) -> None:
        """Only the head of the final response counts, whatever is sent before and after it."""
        answer = (
            b"HTTP/1.1 100 Continue\r\nServer: interim\r\n\r\nHTTP/1.1 103 Early Hints\r\nVia: interim\r\n\r\n"
            b"HTTP/1.1 200 OK\r\nDate: now\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\nServer: trailer\r\n\r\n"
        )
        with Receiver(answering(answer)) as receiver:
            outcome = send(client, post_to(receiver.url()))
        assert (outcome.status, outcome.headers, outcome.snippet) == (200, (("date", "now"),), "abc")

    def test_unsafe_characters_are_replaced(self, client: Client) -> None:
        """Control characters, bidirectional marks and broken UTF-8 become replacement characters."""
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
        """A kilobyte of body is kept, cut between characters, and 256 characters of a header."""
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
        """Of a 300 MB body almost nothing is read, and stopping early is not a failure."""
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
        assert taken < 30_000_000  # what fits into the kernel's buffers

    def test_a_compressed_body_stays_compressed(self, client: Client) -> None:
        """A 200 KB bomb is read like any other body and never decompressed."""
        bomb = gzip.compress(b"\0" * 200_000_000, compresslevel=1)
        head = b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: %d\r\n\r\n" % len(bomb)
        with Receiver(answering_once(head + bomb)) as receiver:
            outcome = send(client, post_to(receiver.url()))
        assert (outcome.status, outcome.failure) == (200, None)
        assert outcome.snippet.startswith("\ufffd\ufffd\ufffd")  # 1f 8b 08

    def test_a_compressed_transfer_is_refused(self, client: Client) -> None:
        """A compressed transfer encoding, which was not requested, is not decoded either."""
        bomb = gzip.compress(b"\0" * 1_000_000)
        chunked = b"%x\r\n%s\r\n0\r\n\r\n" % (len(bomb), bomb)
        with Receiver(
            answering_once(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n" + chunked)
        ) as receiver:
            outcome = send(client, post_to(receiver.url()))
        assert outcome.failure is Failure.NETWORK
        assert outcome.snippet == ""
