"""Times in requests, as RFC 3339 writes them."""

import re
from datetime import UTC, datetime
from typing import Final

from posthorn.routes.problems import FieldError, invalid

_RFC3339: Final = re.compile(
    r"\d{4}-\d{2}-\d{2}[Tt]\d{2}:\d{2}:\d{2}(\.\d{1,9})?([Zz]|[+-]\d{2}:\d{2})", re.ASCII
)


def read_moment(text: str, at: str) -> datetime:
    """Return a time in UTC, or refuse it; `at` is its JSON pointer."""
    detail = "A time is written as in RFC 3339: 2023-04-16T15:45:00Z."
    if not _RFC3339.fullmatch(text):
        raise invalid([FieldError(at, detail)])
    try:
        return datetime.fromisoformat(text.upper()).astimezone(UTC)
    except (ValueError, OverflowError):  # the 30th of February, or the year 0
        raise invalid([FieldError(at, detail)]) from None
