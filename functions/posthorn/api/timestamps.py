"""Timestamps in requests: RFC 3339 with any offset, parsed strictly."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Annotated, Final

from pydantic import Field, StringConstraints

from posthorn.api.problems import FieldError, invalid

COMPLAINT: Final = "Must be an RFC 3339 timestamp, for example 2023-04-16T15:45:00Z."

_RFC3339: Final = re.compile(
    r"\d{4}-\d{2}-\d{2}[Tt]\d{2}:\d{2}:\d{2}(\.\d{1,9})?([Zz]|[+-]\d{2}:\d{2})", re.ASCII
)
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)

type Timestamp = Annotated[
    str, StringConstraints(max_length=64), Field(description="A time as in RFC 3339, with any offset.")
]


def parse(text: str) -> datetime | None:
    """Parse a timestamp and convert it to UTC; return None if it is not one."""
    if not _RFC3339.fullmatch(text):
        return None
    try:
        return datetime.fromisoformat(text.upper()).astimezone(UTC)
    except (ValueError, OverflowError):  # February 30, or the year 0
        return None


def read(text: str, at: str) -> datetime:
    """Return a timestamp in UTC, or refuse it; `at` is its JSON pointer."""
    if (timestamp := parse(text)) is None:
        raise invalid([FieldError(at, COMPLAINT)])
    return timestamp


def read_ms(text: str, at: str) -> int:
    """Return a timestamp in Unix milliseconds, or refuse it; `at` is its JSON pointer."""
    return milliseconds(read(text, at))


def milliseconds(timestamp: datetime) -> int:
    """Convert a timestamp to Unix milliseconds; anything before 1970 becomes 0."""
    return max(0, int((timestamp - _EPOCH).total_seconds() * 1000))
