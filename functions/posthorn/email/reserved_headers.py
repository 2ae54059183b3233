"""Headers that an email's own fields, SES or the mail servers on its way write."""

from typing import Final

_NAMES: Final = frozenset(
    {
        "apparently-to",
        "authentication-results",
        "bcc",
        "cc",
        "date",
        "delivered-to",
        "dkim-signature",
        "domainkey-signature",
        "envelope-to",
        "from",
        "message-id",
        "mime-version",
        "received",
        "received-spf",
        "reply-to",
        "return-path",
        "sender",
        "subject",
        "to",
    }
)
# X-SES- headers are commands to SES: another configuration set, other tags, another sender.
_PREFIXES: Final = ("arc-", "content-", "resent-", "x-ses-")


def is_reserved(name: str) -> bool:
    """Return whether a header's name is reserved, in whatever case it is written."""
    lower = name.lower()
    return lower in _NAMES or lower.startswith(_PREFIXES)
