"""Connections between attempts: reused where that is safe, replaced where they died."""

import time
from collections.abc import Callable, Sequence

import pycurl
import pytest
import trustme

from posthorn.transport.exchange import Exchange, open_socket
from posthorn.transport.http import Client
from tests.unit.transport.posts import LONG, PRIVATE, post_to, send
from tests.unit.transport.receivers import (
    GIVE_UP,
    OK,
    Connection,
    Receiver,
    answering,
    answering_once,
    tls_server,
)


class TestConnections:
    def test_a_connection_is_kept(self, client: Client, authority: trustme.CA) -> None:
        """The second POST to a receiver needs no handshake."""
        with Receiver(answering(OK), tls=tls_server(authority, "hooks.acme.com")) as receiver:
            post = post_to(receiver.url("hooks.acme.com"))
            send(client, post)
            assert send(client, post).address == "127.0.0.1"
            assert (len(receiver.requests), receiver.connections) == (2, 1)

    def test_times_count_from_the_start_of_the_attempt(self, ca_file: str) -> None:
        """Times count from the start of the attempt; on a reused connection, connect and TLS end with DNS."""
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
        """A closed socket is no longer polled.

        Otherwise every later wait would return at once and burn CPU.
        """
        with Receiver(
            answering_once(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
        ) as receiver:
            assert send(client, post_to(receiver.url())).status == 200
        assert client._loop._poll.poll(0) == []

    def test_the_order_of_dns_does_not_cost_connections(
        self, client: Client, resolved: dict[str, Sequence[str]]
    ) -> None:
        """The same addresses in another order, as in round-robin DNS, are the same receiver."""
        with Receiver(answering(OK)) as receiver:
            for answer in (["127.0.0.1", "127.0.0.2"], ["127.0.0.2", "127.0.0.1"]):
                resolved["hooks.acme.com"] = answer
                assert send(client, post_to(receiver.url("hooks.acme.com"))).status == 200
            assert receiver.connections == 1

    def test_names_share_no_connection(self, client: Client) -> None:
        """Two names with the same address use separate connections."""
        with Receiver(answering(OK)) as receiver:
            send(client, post_to(receiver.url("one.acme.com")))
            send(client, post_to(receiver.url("two.acme.com")))
            assert receiver.connections == 2

    @pytest.mark.parametrize("script", [answering_once(OK), pytest.param(None, id="reset")])
    def test_a_connection_that_died_idle_is_replaced(
        self, client: Client, script: Callable[[Connection], None] | None
    ) -> None:
        """A connection that died while idle, as after a freeze, does not fail the next attempt."""

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

    def test_an_unsolicited_response_is_dropped(self, client: Client) -> None:
        """Data that a receiver sends before the next request is dropped with its connection."""
        forged = b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nforged"
        with Receiver(answering(OK + forged)) as receiver:
            snippets = [send(client, post_to(receiver.url())).snippet for _ in range(3)]
        assert snippets == ["ok", "ok", "ok"]

    def test_close_closes(self, ca_file: str) -> None:
        """A closed client leaves no connection open."""
        client = Client(policy=PRIVATE, ca_file=ca_file)

        def script(connection: Connection) -> None:
            connection.request()
            connection.send(OK)
            connection.await_close()

        with Receiver(script) as receiver:
            send(client, post_to(receiver.url()))
            client.close()
            assert receiver.gone.wait(GIVE_UP)
