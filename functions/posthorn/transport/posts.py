"""A request that is ready to go, checked before anything of it is sent."""

import re
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Final

from posthorn.transport.addresses import Target

# `identity` is said, as some servers compress unasked.
SAID: Final = (("Accept", "*/*"), ("Accept-Encoding", "identity"))
# A name without a value keeps libcurl's own header out.
_FIXED: Final = (
    *(f"{name}: {value}" for name, value in SAID),
    "Content-Type:",
    "Expect:",
    "User-Agent:",
)

# These frame the request, or are said above.
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


@lru_cache(256)  # the same dozen names with each POST
def _may_be_set(name: str) -> bool:
    return _NAME.fullmatch(name) is not None and name.lower() not in _OURS


@dataclass(frozen=True, slots=True)
class Post:
    """A POST: where to, with which headers, and its body.

    Raises ValueError for a header that may not be set or holds anything but printable ASCII.
    """

    target: Target
    headers: tuple[tuple[str, str], ...] = field(repr=False)
    body: bytes = field(repr=False)

    def __post_init__(self) -> None:
        for name, value in self.headers:
            if not _may_be_set(name):
                raise ValueError(f"not a header that may be set: {name!r}")
            if not (value.isascii() and value.isprintable()):
                raise ValueError(f"the value of header {name} is not printable ASCII")

    def header_lines(self) -> list[str]:
        """Return all headers but Host and Content-Length in libcurl's notation."""
        # "Name;" stands for a header with an empty value.
        own = (f"{name}: {value}" if value.strip() else f"{name};" for name, value in self.headers)
        return [*_FIXED, *own]
