"""Compares published events with received ones and with the tables, event by event."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from posthorn.domain.models import DeliveryKey, Status
from posthorn.stores import delivery_rows

if TYPE_CHECKING:
    from infra.local.stack import Stack
    from posthorn.domain.models import Delivery
    from tests.receivers.recorder import Recorder

SETTLED: Final = (Status.DELIVERED, Status.FAILED)


@dataclass
class Party:
    """One customer with one receiver."""

    kind: str
    recorder: Recorder
    endpoint_id: str
    accepted: set[str] = field(default_factory=set)  # ids that the API answered with

    def wanted(self) -> set[DeliveryKey]:
        return {DeliveryKey(self.endpoint_id, event_id) for event_id in self.accepted}


def rows_of(stack: Stack, party: Party) -> dict[str, Delivery]:
    """Return every delivery of a party's endpoint, by event."""
    pages = (
        stack.client("dynamodb")
        .get_paginator("query")
        .paginate(
            TableName=stack.outputs["DeliveriesTableName"],
            KeyConditionExpression="pk = :endpoint",
            ExpressionAttributeValues={":endpoint": {"S": party.endpoint_id}},
            ConsistentRead=True,
        )
    )
    rows = [delivery_rows.from_item(item) for page in pages for item in page["Items"]]
    return {row.key.event_id: row for row in rows}


def unsettled(stack: Stack, parties: list[Party]) -> set[DeliveryKey]:
    """Return the deliveries that have not settled, including missing rows."""
    return {
        key
        for party in parties
        for rows in (rows_of(stack, party),)
        for key in party.wanted()
        if key.event_id not in rows or rows[key.event_id].status not in SETTLED
    }


@dataclass
class Account:
    """The sums over all parties."""

    sums: Counter[str] = field(default_factory=Counter)
    wrong: list[str] = field(default_factory=list)

    def take(self, stack: Stack, party: Party) -> None:
        """Compare the accepted events with the rows and with what the receiver saw."""
        rows, received = rows_of(stack, party), Counter(one.id for one in party.recorder.recorded)
        numbers = Counter(
            attempt.number for row in rows.values() for attempt in row.attempts if attempt.number > 1
        )
        self.sums["accepted"] += len(party.accepted)
        self.sums["retries"] += numbers.total()
        # an event was sent once for each recorded attempt, and once more for each attempt that a death kept
        # from the record
        self.sums["duplicates"] += sum(
            max(0, times - rows[event_id].attempt) for event_id, times in received.items() if event_id in rows
        )
        for event_id in party.accepted:
            row = rows.get(event_id)
            if row is None or row.status not in SETTLED:
                self.sums["lost"] += 1
                self.wrong.append(f"lost at {party.kind}: {event_id}")
                continue
            self.sums["delivered" if row.reason is None else f"failed: {row.reason}"] += 1
            # an attempt without a status may not have reached its receiver at all
            answered = sum(attempt.outcome.status is not None for attempt in row.attempts)
            if answered > received[event_id]:
                self.wrong.append(f"recorded but not received at {party.kind}: {event_id}")
        self.wrong += [
            f"received but never accepted at {party.kind}: {one}" for one in received.keys() - party.accepted
        ]
        self.wrong += [
            f"a row without an accepted event at {party.kind}: {one}" for one in rows.keys() - party.accepted
        ]

    def table(self) -> str:
        order = ["accepted", "delivered", "retries", "duplicates"]
        order += sorted(name for name in self.sums if name.startswith(("failed", "recovered", "killed")))
        return "\n".join(f"  {name:<40}{self.sums[name]:>8,}" for name in [*order, "lost"])
