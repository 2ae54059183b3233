"""A response, part by part as libcurl delivers it: where reading stops, and what is kept."""

import pytest

from posthorn.transport.response import MAX_BODY_BYTES, MAX_HEADER_BYTES, SNIPPET_BYTES, STOP, Response

KEPT = [
    "cf-ray",
    "content-length",
    "content-type",
    "date",
    "location",
    "request-id",
    "retry-after",
    "server",
    "via",
    "x-amzn-requestid",
    "x-request-id",
]
STATUS_LINE = b"HTTP/1.1 200 OK\r\n"


def reading(*lines: bytes) -> Response:
    answer = Response()
    for line in lines:
        assert answer.read_header(line) is None
    return answer


def test_the_bounds() -> None:
    """The limits are 16 KB of body, 32 KB of headers and 1 KB of text; consuming zero bytes stops libcurl."""
    assert (MAX_BODY_BYTES, MAX_HEADER_BYTES, SNIPPET_BYTES, STOP) == (16_384, 32_768, 1_024, 0)


def test_headers_end_at_their_bound() -> None:
    """Headers up to the limit are read; the next byte aborts the transfer."""
    answer = reading(STATUS_LINE, b"X: " + b"y" * (MAX_HEADER_BYTES - len(STATUS_LINE) - 5) + b"\r\n")
    assert not answer.has_overlong_headers
    assert answer.read_header(b"\n") == STOP
    assert answer.has_overlong_headers


def test_a_body_ends_at_its_bound() -> None:
    """Once the limit is reached, no more of the body is awaited."""
    answer = reading(STATUS_LINE, b"\r\n")
    assert answer.read_body(b"x" * (MAX_BODY_BYTES - 1)) is None
    assert not answer.has_enough_body
    assert answer.read_body(b"x") == STOP
    assert answer.has_enough_body


def test_no_more_of_a_body_is_held_than_is_shown() -> None:
    """In any number of parts, one byte more than the text is kept, to see whether it was cut."""
    answer = reading(STATUS_LINE, b"\r\n")
    for _ in range(100):
        answer.read_body(b"x" * 100)
    assert len(answer._body) == SNIPPET_BYTES + 1
    assert answer.snippet() == "x" * SNIPPET_BYTES


def test_a_partial_character_at_the_cut_is_dropped() -> None:
    """Kept text ends between characters, not in the middle of one."""
    answer = Response()
    answer.read_body(b"x" + "ü".encode() * SNIPPET_BYTES)
    assert answer.snippet() == "x" + "ü" * (SNIPPET_BYTES // 2 - 1)


@pytest.mark.parametrize(("length", "shown"), [(1023, "x" * 1022 + "\ufffd"), (1024, "x" * 1023 + "\ufffd")])
def test_a_whole_body_that_ends_in_a_broken_character_says_so(length: int, shown: str) -> None:
    """A partial character is dropped only at our own cut; at the end of the body it is shown as broken."""
    answer = reading(STATUS_LINE, b"\r\n")
    answer.read_body(b"x" * (length - 1) + b"\xc3")
    assert answer.snippet() == shown


def test_the_headers_that_are_kept() -> None:
    """Exactly the listed headers are kept, in any case and in the order they came."""
    lines = [f"{name.title()}: of {name}\r\n".encode() for name in KEPT]
    answer = reading(STATUS_LINE, b"Set-Cookie: a\r\n", *lines, b"X-Powered-By: b\r\n", b"\r\n")
    assert answer.kept_headers() == tuple((name, f"of {name}") for name in KEPT)


def test_a_header_in_any_encoding_is_text() -> None:
    """Invalid UTF-8 is replaced and causes no error."""
    answer = reading(STATUS_LINE, b"Server: caf\xe9\r\n", "Via: café\r\n".encode(), b"\r\n")
    assert answer.kept_headers() == (("server", "caf\ufffd"), ("via", "café"))


@pytest.mark.parametrize(
    "character",
    [*map(chr, range(0x20)), *map(chr, range(0x7F, 0xA0)), *"\u200e\u200f\u202a\u202e\u2066\u2069"],
    ids=ascii,
)
def test_no_control_is_shown(character: str) -> None:
    """Control characters and bidirectional marks are replaced; a body may have newlines and tabs."""
    answer = reading(STATUS_LINE, f"Server: a{character}b\r\n".encode(), b"\r\n")
    answer.read_body(f"a{character}b".encode())
    in_body = {"\t": "\t", "\n": "\n", "\r": ""}.get(character, "\ufffd")
    in_header = {"\t": "\t", "\r": ""}.get(character, "\ufffd")
    assert answer.snippet() == f"a{in_body}b"
    assert answer.kept_headers() == (("server", f"a{in_header}b"),)


@pytest.mark.parametrize(
    "character",
    [" ", "~", "\u00a0", "\u00e9", "\u200d", "\u2029", "\u202f", "\u2065", "\u206a", "\U0001f98a"],
    ids=ascii,
)
def test_text_is_shown_as_it_is(character: str) -> None:
    """The neighbors of replaced characters are kept, with or without a newline beside them."""
    for text in (f"a{character}b", f"a{character}b\n"):
        answer = reading(STATUS_LINE, b"\r\n")
        answer.read_body(text.encode())
        assert answer.snippet() == text


@pytest.mark.parametrize("end", [b"\r\n", b"\n"])
def test_a_head_is_whole_after_its_blank_line(end: bytes) -> None:
    """A head is complete at its blank line, not before, and trailers do not change it."""
    answer = Response()
    seen = [answer.has_whole_head]
    for line in (b"HTTP/1.1 200 OK", b"Server: a", b"", b"Server: trailer"):
        answer.read_header(line + end)
        seen.append(answer.has_whole_head)
    assert seen == [False, False, False, True, True]
    assert answer.kept_headers() == (("server", "a"),)


@pytest.mark.parametrize(
    "line",
    [
        STATUS_LINE,
        b"HTTP/1.0 200 OK\r\n",
        b"HTTP/1.1 200 OK\n",
        b"HTTP/1.1 200\r\n",
        b"HTTP/1.1 200 \r\n",
        b"HTTP/1.1 200 " + bytes(range(0x20, 0x7F)) + b"\r\n",
        "HTTP/1.1 200 Größer als nötig\r\n".encode(),
    ],
)
def test_a_status_may_have_any_reason_or_none(line: bytes) -> None:
    """Both HTTP versions are accepted, with any one-line reason phrase or none."""
    assert not reading(line).is_malformed


@pytest.mark.parametrize(
    "line",
    [
        b"HTTP/1.1 2000 OK\r\n",
        b"HTTP/1.1 20 OK\r\n",
        b"HTTP/1.1 200OK\r\n",
        b"HTTP/1.1 200 O\rK\r\n",
        b"HTTP/1x1 200 OK\r\n",
        b"HTTP/1.2 200 OK\r\n",
        b"http/1.1 200 OK\r\n",
        b"\r\n",
    ],
)
def test_a_response_must_begin_with_a_status_line(line: bytes) -> None:
    """The first line, and any other line that looks like one, must be a valid status line."""
    first = Response()
    assert (first.read_header(line), first.is_malformed) == (STOP, True)
    later = reading(STATUS_LINE, b"Server: interim\r\n", b"\r\n", STATUS_LINE, b"\r\n")
    assert (later.is_malformed, later.kept_headers()) == (False, ())
    assert (later.read_header(b"HTTP/1.1 2000 OK\r\n"), later.is_malformed) == (STOP, True)
