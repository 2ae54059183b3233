"""The system clock, and timestamps as the APIs write them."""

import time
from datetime import UTC, datetime


def now_ms() -> int:
    """Return Unix time in milliseconds."""
    return time.time_ns() // 1_000_000


def rfc3339(timestamp_ms: int) -> str:
    """Format a timestamp in UTC with seconds, as the published APIs do."""
    return datetime.fromtimestamp(timestamp_ms // 1000, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def rfc3339_ms(timestamp_ms: int) -> str:
    """Format a timestamp in UTC with milliseconds."""
    return f"{rfc3339(timestamp_ms)[:-1]}.{timestamp_ms % 1000:03d}Z"
