"""A request that is ready to send, with its headers checked."""

import re
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Final

from posthorn.transport.targets import Target

# `identity` is explicit, since some servers compress without being asked to.
SAID: Final = (("Accept", "*/*"), ("Accept-Encoding", "identity"))
# A name without a value suppresses libcurl's own header.
_FIXED: Final = (
    *(f"{name}: {value}" for name, value in SAID),
    "Content-Type:",
    "Expect:",
    "User-Agent:",
)

# Headers that frame the request, or are set above.
_OURS: Final = frozenset(
    {
        "accept",
        "accept-encoding",
        "connection",
        "content-length",
        "expect",
        "host",
        "keep-alive",
        "proxy-connection",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
    }
)
_NAME: Final = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")  # RFC 9110, token


@lru_cache(256)  # every POST has the same dozen names
def _may_be_set(name: str) -> bool:
    return _NAME.fullmatch(name) is not None and name.lower() not in _OURS


@dataclass(frozen=True, slots=True)
class Post:
    """A POST: its target, headers and body.

    Raises ValueError for a header that must not be set, or whose value is not printable ASCII.
    """

    target: Target
    headers: tuple[tuple[str, str], ...] = field(repr=False)
    body: bytes = field(repr=False)

    def __post_init__(self) -> None:
        for name, value in self.headers:
            if not _may_be_set(name):
                raise ValueError(f"the header {name!r} must not be set")
            if not (value.isascii() and value.isprintable()):
                raise ValueError(f"the value of header {name} is not printable ASCII")

    def header_lines(self) -> list[str]:
        """Return all headers except Host and Content-Length in libcurl's notation."""
        # "Name;" stands for a header with an empty value.
        own = (f"{name}: {value}" if value.strip() else f"{name};" for name, value in self.headers)
        return [*_FIXED, *own]
