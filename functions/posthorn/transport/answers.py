"""What a receiver answered, cut down to what the log keeps. All of it is a stranger's text."""

import codecs
from collections.abc import Iterable
from typing import Final

SNIPPET_BYTES: Final = 1024
VALUE_CHARACTERS: Final = 256

_KEPT: Final = frozenset(
    b"cf-ray content-length content-type date location request-id retry-after server via x-amzn-requestid x-request-id"
    .split()
)

_REPLACEMENT: Final = "\ufffd"
# Controls move a terminal's cursor and reorder what is read. Line feed and tab are text; CR LF becomes a line feed.
_HARMLESS: Final[dict[int, str | None]] = {
    **dict.fromkeys((*range(0x20), *range(0x7F, 0xA0)), _REPLACEMENT),
    **dict.fromkeys((0x200E, 0x200F, *range(0x202A, 0x202F), *range(0x2066, 0x206A)), _REPLACEMENT),
    ord("\t"): "\t",
    ord("\n"): "\n",
    ord("\r"): None,
}
_ONE_LINE: Final[dict[int, str | None]] = {**_HARMLESS, ord("\n"): _REPLACEMENT}


def kept_headers(lines: Iterable[bytes]) -> tuple[tuple[str, str], ...]:
    """Pick the headers worth keeping from the header lines of an answer, without its status line and trailers.

    Names in lower case, each once, values cut.
    """
    kept: dict[str, str] = {}
    for line in lines:
        name, _, value = line.partition(b":")
        if (key := name.lower()) in _KEPT and (known := key.decode()) not in kept:
            kept[known] = _harmless(value.strip().decode("utf-8", "replace")[:VALUE_CHARACTERS], _ONE_LINE)
    return tuple(kept.items())


def snippet(body: bytes) -> str:
    """Show the first kilobyte of a body as text that is safe to print."""
    # Not final: a character that the cut went through is left out instead of shown broken.
    decoder = codecs.getincrementaldecoder("utf-8")("replace")
    return _harmless(decoder.decode(body[:SNIPPET_BYTES], final=len(body) <= SNIPPET_BYTES), _HARMLESS)


def _harmless(text: str, table: dict[int, str | None]) -> str:
    # translate() looks up every character, and nearly every text needs none of it.
    return text if text.isprintable() else text.translate(table)
