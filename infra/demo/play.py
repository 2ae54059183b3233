"""What both acts of the demo need: something that goes wrong is said, and arrivals are waited for."""

from __future__ import annotations

import queue
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from infra.demo.receivers import Arrival

PATIENCE: Final = 60.0
"""Seconds to wait for the next thing to happen."""


class DemoFailed(Exception):
    """Something went otherwise than the demo says it does."""


def next_arrival(arrivals: queue.SimpleQueue[Arrival]) -> Arrival:
    """Return what arrives next."""
    try:
        return arrivals.get(timeout=PATIENCE)
    except queue.Empty:
        raise DemoFailed(f"nothing arrived for {PATIENCE:.0f} s") from None


def check_signatures(arrival: Arrival) -> None:
    """Insist that both ways to verify a delivery accept it."""
    if not (arrival.published_check and arrival.library_check):
        raise DemoFailed(f"a signature at {arrival.receiver} does not fit")
