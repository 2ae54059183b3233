"""A receiver's response, read within limits and reduced to the parts that the log keeps. Untrusted text."""

import codecs
import re
import time
from collections.abc import Callable
from typing import Final

MAX_BODY_BYTES: Final = 16 * 1024
MAX_HEADER_BYTES: Final = 32 * 1024  # including status lines, interim (1xx) responses and trailers
SNIPPET_BYTES: Final = 1024
VALUE_CHARACTERS: Final = 256

# libcurl reads "2000" and "200OK" as 200; a delivery counts only with a status line as in RFC 9112.
_STATUS_LINE: Final = re.compile(rb"HTTP/1\.[01] [0-9]{3}(?: [^\r\n]*)?\r?\n")

_KEPT: Final = frozenset(
    {
        b"cf-ray",
        b"content-length",
        b"content-type",
        b"date",
        b"location",
        b"request-id",
        b"retry-after",
        b"server",
        b"via",
        b"x-amzn-requestid",
        b"x-request-id",
    }
)

_REPLACEMENT: Final = "\ufffd"
# Control characters can move a terminal's cursor and reorder text. Line feed and tab stay; CR LF becomes a line feed.
_HARMLESS: Final[dict[int, str | None]] = {
    **dict.fromkeys((*range(0x20), *range(0x7F, 0xA0)), _REPLACEMENT),
    **dict.fromkeys((0x200E, 0x200F, *range(0x202A, 0x202F), *range(0x2066, 0x206A)), _REPLACEMENT),
    ord("\t"): "\t",
    ord("\n"): "\n",
    ord("\r"): None,
}
_ONE_LINE: Final[dict[int, str | None]] = {**_HARMLESS, ord("\n"): _REPLACEMENT}

STOP: Final = 0
"""The return value of a callback that ends the transfer; libcurl reports it as E_WRITE_ERROR."""


class Response:
    """The response that is being read; reused for the next one. The two `read_` methods are libcurl's callbacks."""

    def __init__(self) -> None:
        self.clear(None)

    def clear(self, on_head: Callable[[], None] | None) -> None:
        """Forget the previous response; `on_head` is called when the head of the final response is complete."""
        self.header_bytes = 0
        self.head_at: float | None = None  # when that was, on the monotonic clock
        self.on_head = on_head
        self._is_final = False
        self.is_malformed = False  # has an invalid status line
        self._in_head = False
        self._lines: list[bytes] = []
        self._body = bytearray()
        self._body_bytes = 0

    @property
    def has_overlong_headers(self) -> bool:
        return self.header_bytes > MAX_HEADER_BYTES

    @property
    def has_enough_body(self) -> bool:
        return self._body_bytes >= MAX_BODY_BYTES

    @property
    def has_whole_head(self) -> bool:
        """Whether the head of the final response is complete, including its blank line; libcurl accepts less."""
        return self.head_at is not None

    def read_header(self, line: bytes) -> int | None:
        is_first = self.header_bytes == 0
        self.header_bytes += len(line)
        if self.has_overlong_headers:
            return STOP
        if is_first or line.startswith(b"HTTP/"):
            if not _STATUS_LINE.fullmatch(line):
                self.is_malformed = True
                return STOP
            self._lines.clear()  # of an interim response
            self._is_final = line[9:10] >= b"2"
            self._in_head = True
        elif line in (b"\r\n", b"\n"):
            if self._in_head and self._is_final:
                self.head_at = time.monotonic()
                if self.on_head is not None:
                    self.on_head()
            self._in_head = False  # trailers may follow the body
        elif self._in_head:
            self._lines.append(line)
        return None

    def read_body(self, part: bytes) -> int | None:
        self._body += part[: SNIPPET_BYTES + 1 - len(self._body)]
        self._body_bytes += len(part)
        return STOP if self.has_enough_body else None

    def kept_headers(self) -> tuple[tuple[str, str], ...]:
        """Return the headers to keep: names in lower case without duplicates, values cut."""
        kept: dict[str, str] = {}
        for line in self._lines:
            name, _, value = line.partition(b":")
            if (key := name.lower()) in _KEPT and (known := key.decode()) not in kept:
                kept[known] = _harmless(
                    value.strip().decode("utf-8", "replace")[:VALUE_CHARACTERS], _ONE_LINE
                )
        return tuple(kept.items())

    def snippet(self) -> str:
        """Return the first kilobyte of the body as text that is safe to print."""
        if len(self._body) <= SNIPPET_BYTES:
            return _harmless(self._body.decode("utf-8", "replace"), _HARMLESS)
        # Not final: a character that was cut in half is dropped rather than shown as broken.
        decoder = codecs.getincrementaldecoder("utf-8")("replace")
        return _harmless(decoder.decode(bytes(self._body[:SNIPPET_BYTES]), final=False), _HARMLESS)


def _harmless(text: str, table: dict[int, str | None]) -> str:
    # translate() looks up every character, and almost no text needs it.
    return text if text.isprintable() else text.translate(table)
