"""A whole head decides, however the body after it ends."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from posthorn.transport import http
from tests.unit.transport.posts import post_to, send
from tests.unit.transport.receivers import (
    OK,
    Connection,
    Receiver,
    answering,
    answering_once,
    dripping,
    endless,
    stalling,
    tls_server,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    import trustme

    from posthorn.transport.http import Client

BROKE_OFF = "the response broke off after its head"
CUT = "the response did not end in time after its head; the rest was not read"
STATUSES = (200, 204, 302, 401, 410, 429, 500, 503)


def head(status: int, *headers: bytes) -> bytes:
    """Return the head of an answer, with a Retry-After that any class may carry."""
    return b"\r\n".join([b"HTTP/1.1 %d X" % status, b"Retry-After: 7", *headers, b"", b""])


def reset_after(answer: bytes) -> Callable[[Connection], None]:
    """Answer one request, then break the connection."""

    def script(connection: Connection) -> None:
        connection.request()
        connection.send(answer)
        connection.reset()

    return script


@pytest.mark.parametrize("status", STATUSES)
@pytest.mark.parametrize(
    ("receiver", "headers", "body"),
    [
        (answering_once, (b"Content-Length: 9",), b"abc"),
        (answering_once, (b"Transfer-Encoding: chunked",), b"3\r\nabc\r\n"),
        (answering_once, (b"Transfer-Encoding: chunked",), b"3\r\nabc\r\nnonsense"),
        (reset_after, (), b"abc"),
        (reset_after, (b"Content-Length: 9",), b"abc"),
    ],
)
def test_a_body_that_breaks_off_is_a_note(
    client: Client,
    status: int,
    receiver: Callable[[bytes], Callable[[Connection], None]],
    headers: tuple[bytes, ...],
    body: bytes,
) -> None:
    """The status and the headers of a whole head stand in every class; the note says how the body ended."""
    if status == 204:  # has no body, so nothing can break off
        body, headers = b"", ()
    with Receiver(receiver(head(status, *headers) + body)) as receiving:
        outcome = send(client, post_to(receiving.url()))
    assert (outcome.status, outcome.failure) == (status, None)
    assert dict(outcome.headers)["retry-after"] == "7"
    assert outcome.error in ({None} if status == 204 else {None, BROKE_OFF})


@pytest.mark.parametrize(
    "body", [b"", b"Content-Length: 9\r\n\r\nabc", b"Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n"]
)
def test_a_body_that_does_not_end_is_not_awaited(
    client: Client, monkeypatch: pytest.MonkeyPatch, body: bytes
) -> None:
    """A receiver that answers first and works later is delivered to, and its time is that of its head."""
    monkeypatch.setattr(http, "BODY_SECONDS", 0.05)
    with Receiver(stalling(b"HTTP/1.1 200 OK\r\n" + (body or b"\r\n"))) as receiver:
        outcome = send(client, post_to(receiver.url()), deadline=10)
        assert receiver.gone.wait(10)  # the connection is not kept
    assert (outcome.status, outcome.failure, outcome.error) == (200, None, CUT)
    assert outcome.timings.first_byte <= outcome.timings.total < 1000


@pytest.mark.parametrize(
    "script",
    [
        dripping(b"HTTP/1.1 200 OK\r\n\r\n", b"x"),
        endless(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1;", b"a" * 100_000),
        endless(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n", b"X-A: b\r\n" * 50),
    ],
)
def test_a_body_without_end(
    client: Client, monkeypatch: pytest.MonkeyPatch, script: Callable[[Connection], None]
) -> None:
    """Whatever follows the head, and for however long, the status is the one of the head."""
    monkeypatch.setattr(http, "BODY_SECONDS", 0.1)
    with Receiver(script) as receiver:
        outcome = send(client, post_to(receiver.url()), deadline=10)
    assert (outcome.status, outcome.failure) == (200, None)
    assert outcome.error in {CUT, BROKE_OFF}


def test_the_deadline_within_the_body(client: Client) -> None:
    """The deadline of the attempt ends the reading too, and the status stands."""
    with Receiver(stalling(b"HTTP/1.1 401 No\r\nContent-Length: 9\r\n\r\nabc")) as receiver:
        outcome = send(client, post_to(receiver.url()), deadline=0.2)
    assert (outcome.status, outcome.failure, outcome.error) == (401, None, CUT)


def test_a_slow_head_after_an_interim_one(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    """Only the head of the final answer starts the clock: after `100 Continue` there is time for it."""
    monkeypatch.setattr(http, "BODY_SECONDS", 0.0)

    def script(connection: Connection) -> None:
        connection.request()
        connection.drip([b"HTTP/1.1 100 Continue\r\n\r\n"] * 5 + [OK])

    with Receiver(script) as receiver:
        outcome = send(client, post_to(receiver.url()), deadline=10)
    assert (outcome.status, outcome.failure) == (200, None)


def test_neighbors_of_a_body_without_end(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    """A connection whose answer ended well serves the next request, and one that was cut off does not."""
    monkeypatch.setattr(http, "BODY_SECONDS", 0.05)
    with Receiver(answering(OK)) as well, Receiver(stalling(b"HTTP/1.1 200 OK\r\n\r\n")) as stalled:
        for _ in range(2):
            outcomes = dict(
                client.send([("well", post_to(well.url())), ("stalled", post_to(stalled.url()))], deadline=10)
            )
            assert {key: one.status for key, one in outcomes.items()} == {"well": 200, "stalled": 200}
        assert (well.connections, stalled.connections) == (1, 2)


@pytest.mark.parametrize("status", STATUSES)
def test_tls_that_ends_without_a_notice(client: Client, authority: trustme.CA, status: int) -> None:
    """Python's own server ends HTTP/1.0 over TLS with a bare FIN, which OpenSSL takes for an attack."""
    script = answering_once(b"HTTP/1.0 %d X\r\nServer: BaseHTTP/0.6\r\n\r\n" % status)
    with Receiver(script, tls=tls_server(authority, "127.0.0.1")) as receiver:
        outcome = send(client, post_to(receiver.url()))
    assert (outcome.status, outcome.failure) == (status, None)
