"""Domain names in the one form that is compared and sent: lowercase labels of ASCII, IDNs as `xn--…` (RFC 5890)."""

import re
import unicodedata
from typing import Final

_LABEL: Final = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?")
_MAX: Final = 253


def canonical_domain(text: str) -> str | None:
    """Return a domain of at least two labels in its canonical form; None if the text is none."""
    labels = [_a_label(label) for label in text.split(".")]
    domain = ".".join(labels)
    # a last label of digits is part of an IP address
    if len(labels) < 2 or len(domain) > _MAX or labels[-1].isdigit():
        return None
    return domain if all(map(_LABEL.fullmatch, labels)) else None


def _a_label(label: str) -> str:
    """Return the ASCII form of a label.

    Only case is folded. The mapping of IDNA 2003, which Python's codec `idna` has, also folds characters into others:
    `ß` into `ss`, full-width letters into plain ones. Then a domain would pass for another one.
    """
    if label.isascii():
        return label.lower()
    lower = unicodedata.normalize("NFC", label.lower())
    if lower.isascii():  # the Kelvin sign is a k in lower case
        return ""
    return "xn--" + lower.encode("punycode").decode()
