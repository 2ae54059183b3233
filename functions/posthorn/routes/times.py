"""Times as requests write them: RFC 3339, with any offset."""

import re
from datetime import UTC, datetime
from typing import Final

_RFC3339: Final = re.compile(
    r"\d{4}-\d{2}-\d{2}[Tt]\d{2}:\d{2}:\d{2}(\.\d{1,9})?([Zz]|[+-]\d{2}:\d{2})", re.ASCII
)
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)

COMPLAINT: Final = "A time is written as in RFC 3339: 2023-04-16T15:45:00Z."


def parse(text: str) -> datetime | None:
    """Read a time as a moment in UTC, None when it is none."""
    if not _RFC3339.fullmatch(text):
        return None
    try:
        return datetime.fromisoformat(text.upper()).astimezone(UTC)
    except (ValueError, OverflowError):  # the 30th of February, or the year 0
        return None


def milliseconds(moment: datetime) -> int:
    """Return a moment in Unix milliseconds; what is before 1970 is 0."""
    return max(0, int((moment - _EPOCH).total_seconds() * 1000))
