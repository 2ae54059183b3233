"""The clock of everything that is not a test."""

import time
from datetime import UTC, datetime


def now_ms() -> int:
    """Return Unix time in milliseconds."""
    return time.time_ns() // 1_000_000


def rfc3339(moment_ms: int) -> str:
    """Write a moment in UTC to the second, as the published APIs do."""
    return datetime.fromtimestamp(moment_ms // 1000, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def rfc3339_ms(moment_ms: int) -> str:
    """Write a moment in UTC to the millisecond."""
    return f"{rfc3339(moment_ms)[:-1]}.{moment_ms % 1000:03d}Z"
