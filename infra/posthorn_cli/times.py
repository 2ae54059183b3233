"""Times as an operator types them: `2026-01-01`, `2h` ago, or RFC 3339."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Final

FORMS: Final = (
    "a date (2026-01-01, in UTC), a time with its zone (2026-01-01T12:00:00Z), or an age (30m, 2h, 7d)"
)

_AGE: Final = re.compile(r"(\d{1,9})([mhd])", re.ASCII)
_DATE: Final = re.compile(r"\d{4}-\d{2}-\d{2}", re.ASCII)
_TIME: Final = re.compile(
    r"\d{4}-\d{2}-\d{2}[Tt ]\d{2}:\d{2}:\d{2}(\.\d{1,9})?([Zz]|[+-]\d{2}:\d{2})?", re.ASCII
)
_UNITS_MS: Final = {"m": 60_000, "h": 3_600_000, "d": 86_400_000}
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


def parse(text: str, *, now_ms: int) -> int:
    """Read a time as Unix milliseconds; `ValueError` with a sentence for the operator."""
    moment = _parse(text, now_ms)
    if moment < 0:
        raise ValueError("Must not be earlier than 1970.")
    return moment


def _parse(text: str, now_ms: int) -> int:
    if age := _AGE.fullmatch(text):
        return now_ms - int(age[1]) * _UNITS_MS[age[2]]
    written = _TIME.fullmatch(text)
    if written is None and _DATE.fullmatch(text) is None:
        raise ValueError(f"Must be {FORMS}.")
    if written is not None and written[2] is None:
        raise ValueError("Must name its time zone: append Z for UTC, or an offset such as +02:00.")
    try:
        moment = datetime.fromisoformat(text.upper())
    except ValueError as error:
        raise ValueError("Must be a date and time that exist.") from error
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    elapsed = moment - _EPOCH
    return elapsed.days * 86_400_000 + elapsed.seconds * 1000 + elapsed.microseconds // 1000
