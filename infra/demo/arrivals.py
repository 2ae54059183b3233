"""Shared by the parts of the demo: its error, waiting for arrivals, and checking signatures."""

from __future__ import annotations

import queue
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from infra.demo.receivers import Arrival

PATIENCE: Final = 60.0
"""Seconds to wait for the next arrival."""


class DemoFailed(Exception):
    """The demo did not run as expected."""


def next_arrival(arrivals: queue.SimpleQueue[Arrival]) -> Arrival:
    """Return the next arrival."""
    try:
        return arrivals.get(timeout=PATIENCE)
    except queue.Empty:
        raise DemoFailed(f"nothing arrived for {PATIENCE:.0f} s") from None


def check_signatures(arrival: Arrival) -> None:
    """Raise unless both verifications of a delivery succeeded."""
    if not (arrival.published_check and arrival.library_check):
        raise DemoFailed(f"invalid signature at {arrival.receiver}")
