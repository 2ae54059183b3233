"""Times that callers write: RFC 3339, with any offset, and nothing that merely looks like it."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Annotated, Final

from pydantic import Field, StringConstraints

from posthorn.api.problems import FieldError, invalid

COMPLAINT: Final = "A time is written as in RFC 3339: 2023-04-16T15:45:00Z."

_RFC3339: Final = re.compile(
    r"\d{4}-\d{2}-\d{2}[Tt]\d{2}:\d{2}:\d{2}(\.\d{1,9})?([Zz]|[+-]\d{2}:\d{2})", re.ASCII
)
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)

type Timestamp = Annotated[
    str, StringConstraints(max_length=64), Field(description="A time as in RFC 3339, with any offset.")
]


def parse(text: str) -> datetime | None:
    """Read a time as a moment in UTC, None when it is none."""
    if not _RFC3339.fullmatch(text):
        return None
    try:
        return datetime.fromisoformat(text.upper()).astimezone(UTC)
    except (ValueError, OverflowError):  # the 30th of February, or the year 0
        return None


def read(text: str, at: str) -> datetime:
    """Return a time in UTC, or refuse it; `at` is its JSON pointer."""
    if (moment := parse(text)) is None:
        raise invalid([FieldError(at, COMPLAINT)])
    return moment


def read_ms(text: str, at: str) -> int:
    """Return a time in Unix milliseconds, or refuse it; `at` is its JSON pointer."""
    return milliseconds(read(text, at))


def milliseconds(moment: datetime) -> int:
    """Return a moment in Unix milliseconds; what is before 1970 is 0."""
    return max(0, int((moment - _EPOCH).total_seconds() * 1000))
