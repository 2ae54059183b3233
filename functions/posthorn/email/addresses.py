"""Email addresses as a sender may write them: `a@example.com` or `Name <a@example.com>` (RFC 5322, 3.4).

A text that a mail server could read as two addresses is none.
"""

import re
from typing import Final

_CONTROL: Final = r"\x00-\x1f\x7f-\x9f\u2028\u2029"
_ATOM: Final = rf'[^\s{_CONTROL}@<>,;:()\[\]\\"]+'
_QUOTED: Final = rf'"[^{_CONTROL}@<>\\"]+"'
_BARE: Final = rf"(?:{_ATOM}|{_QUOTED})@{_ATOM}"
_PLAIN: Final = rf'[^{_CONTROL}@<>,;:()\[\]\\"]'
# Names have brackets and parentheses, such as "Jane (Sales)". Parsers lose their way in unpaired ones.
_NAME: Final = rf"(?:{_QUOTED}|{_PLAIN}|\({_PLAIN}*\)|\[{_PLAIN}*\])*"
_ADDRESS: Final = re.compile(rf"{_BARE}|{_NAME}<{_BARE}>")


def is_address(text: str) -> bool:
    """Return whether a text is one address, with or without a name."""
    return _ADDRESS.fullmatch(text) is not None
