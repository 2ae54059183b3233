"""The output of the demo: a line for each action and arrival, as it happens."""

from __future__ import annotations

import os
import sys
import threading
import time
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from infra.demo.receivers import Arrival

_COLORS: Final = {"green": "32", "red": "31", "yellow": "33", "dim": "2", "bold": "1"}


class Timeline:
    """Lines with the seconds since the start; safe to use from the receivers' threads."""

    def __init__(self) -> None:
        self._start = time.monotonic()
        self._lock = threading.Lock()
        self._color = sys.stdout.isatty() and "NO_COLOR" not in os.environ

    def say(self, who: str, what: str, *, at: float | None = None) -> None:
        elapsed = (time.monotonic() if at is None else at) - self._start
        with self._lock:
            print(f"{self.paint(f'{elapsed:6.1f} s', 'dim')}  {who:<9}{what}", flush=True)

    def arrived(self, arrival: Arrival, wait: int | None) -> None:
        """Show a POST that arrived; `wait` is the delay before the next attempt, if there is one."""
        if arrival.answer < 300:
            answer = self.paint(f"answers {arrival.answer}", "green")
        else:
            answer = self.paint(f"answers {arrival.answer}", "yellow")
            answer += f", next attempt in {wait} s" if wait is not None else ""
        what = f"← {arrival.event}, attempt {arrival.attempt}"
        self.say(arrival.receiver, f"{what:<44}{self._checks(arrival)}  {answer}", at=arrival.at)

    def mail_event(self, arrival: Arrival, address: str) -> None:
        """Show an event about a mail."""
        what = f"← {arrival.event:<10} {address}"
        self.say(arrival.receiver, f"{what:<48}{self._checks(arrival)}", at=arrival.at)

    def paint(self, text: str, color: str) -> str:
        return f"\033[{_COLORS[color]}m{text}\033[0m" if self._color else text

    def _checks(self, arrival: Arrival) -> str:
        return (
            f"{self._tick(arrival.published_check)} published example"
            f"  {self._tick(arrival.library_check)} standardwebhooks"
        )

    def _tick(self, good: bool) -> str:
        return self.paint("✓", "green") if good else self.paint("✗", "red")
