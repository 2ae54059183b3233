"""Concurrent attempts: none waits for another, and none is lost."""

import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator

import pycurl
import pytest

from posthorn.domain.errors import NameNotResolved
from posthorn.domain.models import Failure
from posthorn.transport import http
from posthorn.transport.dns import Lookups
from posthorn.transport.exchange import Exchange, open_socket
from posthorn.transport.http import Client, Post
from posthorn.transport.targets import parse_target
from tests.unit.transport.posts import JSON, LONG, PRIVATE, PUBLIC, post_to, send
from tests.unit.transport.receivers import GIVE_UP, OK, Connection, Receiver, answering, hanging


class TestSending:
    def test_nothing_to_send(self, client: Client) -> None:
        """No POSTs, no outcomes."""
        assert list(client.send([], deadline=LONG)) == []

    @pytest.mark.parametrize("room", [1, 2, 7])
    def test_ends_when_all_are_done(self, ca_file: str, room: int) -> None:
        """For any number of POSTs and any limit, each POST has one outcome and then the loop ends."""
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

    def test_a_hanging_receiver_delays_no_other(self, client: Client) -> None:
        """A receiver that answers only after fifty others were served does not delay them."""
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

    def test_a_name_is_resolved_once_per_batch(self, ca_file: str) -> None:
        """Attempts of one batch share a recent lookup of a name; the next batch looks it up again."""
        asked: list[str] = []

        def resolver(host: str) -> list[str]:
            asked.append(host)
            return ["127.0.0.1"]

        client = Client(policy=PRIVATE, resolver=resolver, ca_file=ca_file, max_in_flight=1)
        with Receiver(answering(OK)) as receiver:
            posts = [(n, post_to(receiver.url("hooks.acme.com"))) for n in range(5)]
            for _ in range(2):
                assert [outcome.status for _, outcome in client.send(posts, deadline=LONG)] == [200] * 5
        client.close()
        assert asked == ["hooks.acme.com"] * 2

    def test_resolved_addresses_expire(self, ca_file: str, monkeypatch: pytest.MonkeyPatch) -> None:
        """A cached address expires; a name that moved to a private address is refused from then on."""
        monkeypatch.setattr(http, "ANSWER_SECONDS", 0.0)
        answers = iter([["8.8.8.8"], ["10.0.0.1"]])
        opened: list[str] = []

        def dialler(peer: pycurl.CurlSockAddr) -> socket.socket:
            opened.append(str(peer.addr[0]))
            raise OSError

        client = Client(
            policy=PUBLIC,
            resolver=lambda _: next(answers),
            ca_file=ca_file,
            max_in_flight=1,
            open_socket=dialler,
        )
        posts = [(n, post_to("https://hooks.acme.com/hook")) for n in range(2)]
        failures = [outcome.failure for _, outcome in client.send(posts, deadline=LONG)]
        client.close()
        assert failures == [Failure.CONNECT, Failure.BLOCKED_ADDRESS]
        assert opened == ["8.8.8.8"]

    def test_a_hanging_name_delays_no_other(self, ca_file: str) -> None:
        """A name that resolves only after fifty others were served does not delay them."""
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
            "DNS did not answer for tarpit.acme.com in time",
        )

    def test_a_late_dns_answer(self, ca_file: str, monkeypatch: pytest.MonkeyPatch) -> None:
        """A lookup that completes after the deadline does not revive its attempt."""
        monkeypatch.setattr(Lookups, "cancel", lambda *_: None)  # as if the lookup completed just then
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
        """Time spent on DNS is deducted from the receiver's."""
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
        """An unknown name is a DNS failure with a readable sentence."""

        def resolver(host: str) -> list[str]:
            raise NameNotResolved(f"DNS has no IPv4 address for {host}")

        client = Client(policy=PUBLIC, resolver=resolver, ca_file=ca_file)
        outcome = send(client, Post(parse_target("https://hooks.acme.com/", PUBLIC), JSON, b"{}"))
        client.close()
        assert (outcome.failure, outcome.error) == (
            Failure.DNS,
            "DNS has no IPv4 address for hooks.acme.com",
        )

    def test_posts_are_taken_when_there_is_room(self, ca_file: str) -> None:
        """At most `max_in_flight` requests are taken from the source, so each is signed just in time."""
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
        """A slow source of POSTs, such as one that decrypts a secret, does not delay those in flight."""
        arrived = threading.Event()

        def script(connection: Connection) -> None:
            connection.request()
            arrived.set()
            connection.send(OK)

        def posts() -> Iterator[tuple[str, Post]]:
            yield "early", post_to(receiver.url())
            for _ in range(100):  # fewer than the limit, so that nothing else moves the client
                if arrived.wait(0.05):
                    break
                yield "filler", post_to(other.url())
            assert arrived.is_set()

        with Receiver(script) as receiver, Receiver(answering(OK)) as other:
            assert {outcome.status for _, outcome in client.send(posts(), deadline=LONG)} == {200}

    def test_an_error_in_the_source_loses_no_outcome(self, client: Client) -> None:
        """If preparing the next POST fails, those in flight finish first; then the error is raised."""

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
        """Leaving the loop closes requests in flight, and the client can be used again."""
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
        """Two loops over one client would take each other's outcomes, so the second is refused."""
        with Receiver(answering(OK)) as receiver:
            posts = [(n, post_to(receiver.url())) for n in range(2)]
            outcomes = client.send(posts, deadline=LONG)
            next(outcomes)
            with pytest.raises(RuntimeError):
                next(client.send(posts, deadline=LONG))
            assert len(list(outcomes)) == 1


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
    """The client imports nothing slow, since every cold start pays for it."""
    done = subprocess.run([sys.executable, "-c", IMPORTING], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
