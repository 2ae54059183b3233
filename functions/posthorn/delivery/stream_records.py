"""Reads accepted events from records of the EventsTable's stream."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from posthorn.aws.batch_response import UNNAMED, identifier
from posthorn.domain.errors import Malformed
from posthorn.stores import events

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from posthorn.domain.models import Event


@dataclass(frozen=True, slots=True)
class UnreadableRecord:
    """A record that can never be processed."""

    sequence: str
    keys: Any  # of the event's row, as far as they are known
    reason: str


@dataclass(frozen=True, slots=True)
class StreamRecords:
    """A batch of records, identified by their sequence numbers."""

    sequences: Sequence[str]  # in their order
    events: Mapping[str, Event]
    unreadable: Sequence[UnreadableRecord]
    failed: frozenset[str]  # two records that cannot be told apart


def read(records: Iterable[Mapping[str, Any]]) -> StreamRecords:
    """Read a batch of records."""
    sequences: list[str] = []
    found: dict[str, Event] = {}
    unreadable: list[UnreadableRecord] = []
    failed: set[str] = set()
    for record in records:
        stream: Mapping[str, Any] = record.get("dynamodb") or {}
        sequence = identifier(stream, "SequenceNumber")
        if record.get("eventName") != "INSERT":
            continue  # the mapping filters these too; an expired row is not an event
        sequences.append(sequence)
        if sequence == UNNAMED and sequence in found:
            failed.add(sequence)
            continue
        try:
            found[sequence] = events.from_item(stream.get("NewImage") or {})
        except Malformed as error:
            unreadable.append(UnreadableRecord(sequence, stream.get("Keys"), str(error)))
    return StreamRecords(sequences, found, unreadable, frozenset(failed))
