"""Which addresses an attempt dials, whatever the URL, DNS and redirects say."""

from collections.abc import Sequence

import pytest

from posthorn.domain.models import Failure
from posthorn.transport import http
from posthorn.transport.http import Client, Post
from posthorn.transport.targets import Target, parse_target
from tests.unit.transport.posts import JSON, LONG, PRIVATE, PUBLIC, Dialler, post_to, send
from tests.unit.transport.receivers import OK, Receiver, answering


class TestGuard:
    def test_a_refused_address_opens_no_socket(self, ca_file: str) -> None:
        """A name that resolves to a private address is a blocked attempt that names the violated rule."""
        dialler = Dialler()
        client = Client(
            policy=PUBLIC, resolver=lambda _: ["8.8.8.8", "10.0.0.1"], ca_file=ca_file, open_socket=dialler
        )
        outcome = send(client, Post(parse_target("https://hooks.acme.com/CANARY", PUBLIC), JSON, b"{}"))
        client.close()
        assert (outcome.failure, outcome.status, outcome.address) == (Failure.BLOCKED_ADDRESS, None, None)
        assert outcome.error == "hooks.acme.com must not resolve to a non-public address (private network)."
        assert dialler.dialled == []

    def test_an_address_is_checked_again_when_it_is_dialled(self, ca_file: str) -> None:
        """A target accepted under a more permissive policy is checked again before it is dialed."""
        dialler = Dialler()
        client = Client(policy=PUBLIC, ca_file=ca_file, open_socket=dialler)
        outcome = send(client, Post(parse_target("https://127.0.0.1/", PRIVATE), JSON, b"{}"))
        client.close()
        assert (outcome.failure, dialler.dialled) == (Failure.BLOCKED_ADDRESS, [])

    def test_the_socket_is_a_gate_of_its_own(self, ca_file: str, monkeypatch: pytest.MonkeyPatch) -> None:
        """Even if vetting let a private address through, no socket would be opened for it."""
        monkeypatch.setattr(http, "vet", lambda _target, _answers, _policy: ("127.0.0.1",))
        dialler = Dialler()
        client = Client(policy=PUBLIC, resolver=lambda _: ["8.8.8.8"], ca_file=ca_file, open_socket=dialler)
        outcome = send(client, Post(parse_target("https://hooks.acme.com/", PUBLIC), JSON, b"{}"))
        client.close()
        assert (outcome.failure, dialler.dialled) == (Failure.BLOCKED_ADDRESS, [])

    def test_a_host_that_libcurl_parses_differently_is_not_dialed(self, ca_file: str) -> None:
        """If libcurl parses a host differently, it has no address for it and may not look it up."""
        dialler = Dialler()
        client = Client(
            policy=PRIVATE, resolver=lambda _: ["127.0.0.1"], ca_file=ca_file, open_socket=dialler
        )
        outcome = send(client, Post(Target("https", "x@localhost", 443, "/"), JSON, b"{}"))
        client.close()
        assert (outcome.failure, dialler.dialled) == (Failure.BLOCKED_ADDRESS, [])

    def test_a_public_policy_speaks_no_plain_http(self, ca_file: str) -> None:
        """A target over http is never sent in plain text, however it came about."""
        dialler = Dialler()
        client = Client(policy=PUBLIC, resolver=lambda _: ["8.8.8.8"], ca_file=ca_file, open_socket=dialler)
        outcome = send(client, Post(Target("http", "hooks.acme.com", 80, "/"), JSON, b"{}"))
        client.close()
        assert (outcome.status, dialler.dialled) == (None, [])

    def test_a_name_that_became_private_is_not_reached_over_its_old_connection(
        self, client: Client, resolved: dict[str, Sequence[str]], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """A name that now resolves to a private address is blocked, even over an open connection."""
        with Receiver(answering(OK)) as receiver:
            post = post_to(receiver.url("hooks.acme.com"))
            assert send(client, post).status == 200
            monkeypatch.setattr(client, "_policy", PUBLIC)  # from now on, 127.0.0.1 is blocked
            resolved["hooks.acme.com"] = ["8.8.8.8", "127.0.0.1"]
            outcome = send(client, post)
            assert (len(receiver.requests), receiver.connections) == (1, 1)
        assert outcome.failure is Failure.BLOCKED_ADDRESS

    def test_a_name_that_moved_is_followed(self, client: Client, resolved: dict[str, Sequence[str]]) -> None:
        """An open connection to a name's former address is not reused."""
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
