"""The hosts of endpoints' URLs."""

import re
from typing import Final

_HOST: Final = re.compile(r"https?://(\[[^\]/]*\]|[^:/]+)")


def host_of(url: str) -> str:
    """Return the host of a URL as the guard wrote it: lower case, ASCII, an IPv6 address in brackets."""
    found = _HOST.match(url)
    return "" if found is None else found[1]
