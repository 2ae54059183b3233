"""The window of time that a stream batch's dead letter stands for, and how several of them become one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable


@dataclass(frozen=True, order=True, slots=True)
class RedispatchWindow:
    """Unix milliseconds, both ends included."""

    since_ms: int
    until_ms: int

    def covers(self, other: RedispatchWindow) -> bool:
        return self.since_ms <= other.since_ms and other.until_ms <= self.until_ms


def merge(windows: Iterable[RedispatchWindow]) -> list[RedispatchWindow]:
    """Return the fewest windows that cover the same milliseconds, the earliest first."""
    merged: list[RedispatchWindow] = []
    for window in sorted(windows):
        last = merged[-1] if merged else None
        if last is None or window.since_ms > last.until_ms + 1:
            merged.append(window)
        else:
            merged[-1] = RedispatchWindow(last.since_ms, max(last.until_ms, window.until_ms))
    return merged
