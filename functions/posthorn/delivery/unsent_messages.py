"""Remembers messages that SQS did not take until their records come again."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from posthorn.domain.models import Delivery, DeliveryKey

LIMIT: Final = 1000
"""Rows remembered, a few megabytes; the sweeper sends the messages of the others."""


class UnsentMessages:
    """Deliveries whose rows this process wrote, or tried to write, and whose messages it could not send.

    Other processes do not know of them. If the record comes again there, the sweeper sends the message.
    """

    def __init__(self) -> None:
        self._rows: dict[DeliveryKey, Delivery] = {}

    def add(self, row: Delivery) -> None:
        """Remember a delivery; the oldest one gives way."""
        if len(self._rows) >= LIMIT:
            self._rows.pop(next(iter(self._rows)), None)
        self._rows[row.key] = row

    def take(self, key: DeliveryKey, *, attempt: int) -> Delivery | None:
        """Forget a delivery; returns its row if it has made no further attempt since."""
        row = self._rows.pop(key, None)
        return row if row is not None and row.attempt == attempt else None
