"""The request that one attempt sends, as its receiver sees it."""

import sys

import pytest

from posthorn.transport.http import Client
from tests.unit.transport.posts import JSON, post_to, send
from tests.unit.transport.receivers import OK, Receiver, answering


def may_be_set(name: str, value: str) -> bool:
    try:
        post_to("http://127.0.0.1/", headers=((name, value),))
    except ValueError:
        return False
    return True


class TestRequest:
    def test_a_request_is_sent_unchanged(self, client: Client) -> None:
        """Path, headers and body reach the receiver unchanged, and almost nothing is added."""
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
        """The client adds no content type or user agent, and sends an empty body as such."""
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
        """There is no `Expect: 100-continue`, which costs a second with servers that do not support it."""
        body = b"x" * 2_000_000
        with Receiver(answering(OK)) as receiver:
            assert send(client, post_to(receiver.url(), body)).status == 200
            [request] = receiver.requests
        assert request.body == body
        assert request.all("Expect") == []

    def test_a_handle_carries_nothing_over(self, client: Client) -> None:
        """Cookies, headers and bodies of one POST never appear in the next."""
        cookie = b"HTTP/1.1 200 OK\r\nSet-Cookie: a=b; Path=/\r\nContent-Length: 0\r\n\r\n"
        with Receiver(answering(cookie)) as receiver:
            send(client, post_to(receiver.url(), b"first", (*JSON, ("X-First", "1"))))
            send(client, post_to(receiver.url(), b"", ()))
            second = receiver.requests[1]
        assert second.body == b""
        assert second.all("Cookie") + second.all("X-First") + second.all("Content-Type") == []

    def test_the_environment_has_no_say(self, client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
        """A proxy from the environment is ignored: it would see everything and resolve names itself."""
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
            ("Accept", "text/html"),
            ("Accept-Encoding", "gzip"),
            ("Connection", "close"),
            ("Keep-Alive", "timeout=60"),
            ("Proxy-Connection", "keep-alive"),
            ("TE", "trailers"),
            ("Trailer", "Expires"),
            ("Upgrade", "h2c"),
        ],
    )
    def test_a_header_that_could_change_the_request_is_a_mistake(self, header: tuple[str, str]) -> None:
        """A header that could change the request is refused before anything connects."""
        with pytest.raises(ValueError, match="header"):
            post_to("http://127.0.0.1/", headers=(header,))

    def test_a_header_is_a_token_and_printable_text(self) -> None:
        """A name may hold only the characters of RFC 9110's token, a value only printable ASCII."""
        for character in map(chr, range(256)):
            is_token = character.isascii() and (character.isalnum() or character in "!#$%&'*+-.^_`|~")
            assert may_be_set(f"x{character}", "a") == is_token, ascii(character)
            assert may_be_set("x", f"a{character}") == (" " <= character <= "~"), ascii(character)

    def test_possible_credentials_are_not_shown(self) -> None:
        """A printed request shows no path, headers or body."""
        post = post_to("https://hooks.acme.com/CANARY?CANARY", b"CANARY", (("X-Token", "CANARY"),))
        assert "hooks.acme.com" in repr(post)
        assert "CANARY" not in repr(post)

    def test_a_body_is_let_go(self, client: Client) -> None:
        """An idle handle does not keep a body of up to 256 KB in memory."""
        body = b"x" * 100_000
        with Receiver(answering(OK)) as receiver:
            before = sys.getrefcount(body)
            send(client, post_to(receiver.url(), body))
            assert sys.getrefcount(body) == before
