"""Times that callers write: RFC 3339, and nothing that merely looks like it."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Annotated, Final

from pydantic import StringConstraints

from posthorn.routes.problems import FieldError, invalid

_RFC3339: Final = re.compile(
    r"\d{4}-\d{2}-\d{2}[Tt]\d{2}:\d{2}:\d{2}(\.\d{1,9})?([Zz]|[+-]\d{2}:\d{2})", re.ASCII
)

type Moment = Annotated[str, StringConstraints(max_length=64)]


def read(text: str, at: str) -> datetime:
    """Return a time in UTC; `at` is its JSON pointer."""
    detail = "A time is written as in RFC 3339: 2023-04-16T15:45:00Z."
    if not _RFC3339.fullmatch(text):
        raise invalid([FieldError(at, detail)])
    try:
        return datetime.fromisoformat(text.upper()).astimezone(UTC)
    except (ValueError, OverflowError):  # the 30th of February, or the year 0
        raise invalid([FieldError(at, detail)]) from None


def read_ms(text: str, at: str) -> int:
    """Return a time in Unix milliseconds, those before 1970 as 0; `at` is its JSON pointer."""
    return max(0, int(read(text, at).timestamp() * 1000))
