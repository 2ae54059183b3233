"""The row of a delivery: `pk` is the endpoint id, `sk` the event id."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from posthorn.domain.errors import Malformed
from posthorn.domain.ids import shard_of
from posthorn.domain.models import Attempt, Delivery, DeliveryKey, Reason, Status
from posthorn.stores import attempts, items
from posthorn.stores.items import n, s
from posthorn.stores.tables import DUE_SHARD, NEXT_ATTEMPT_AT, PK, ROW_VERSION, SK, UNDELIVERED

if TYPE_CHECKING:
    from collections.abc import Mapping

    from posthorn.stores.items import Item


LEASE_UNTIL: Final = "lease_until"
LEASE_BY: Final = "lease_by"


@dataclass(frozen=True, slots=True)
class Lease:
    """A worker's claim of one attempt; an attribute of the row until the attempt's result is on record.

    A lease that has ended without a result still belongs to the message of its `holder`: that message, or the
    result of the attempt, is in a queue. Any message may take a lease that is older than `abandoned_before`.
    """

    until: int  # Unix milliseconds
    holder: str
    abandoned_before: int

    def attributes(self) -> Item:
        return {LEASE_UNTIL: n(self.until), LEASE_BY: s(self.holder)}


def lease_end(item: Mapping[str, Any]) -> int:
    """Return when the lease of a row ends or has ended; 0 if it has none."""
    return items.optional_number(item, LEASE_UNTIL) or 0


def key_of(key: DeliveryKey) -> Item:
    return {PK: s(key.endpoint_id), SK: s(key.event_id)}


def read_key(item: Mapping[str, Any]) -> DeliveryKey:
    return DeliveryKey(endpoint_id=items.text(item, PK), event_id=items.text(item, SK))


def to_item(delivery: Delivery) -> Item:
    item: Item = {
        **key_of(delivery.key),
        "v": n(ROW_VERSION),
        "channel": s(delivery.channel),
        "event_type": s(delivery.event_type),
        "status": s(delivery.status),
        "attempt": n(delivery.attempt),
        "generation": n(delivery.generation),
        "attempts": items.texts(attempts.to_text(attempt) for attempt in delivery.attempts),
        **index_attributes(delivery),
    }
    if delivery.is_test:
        item["is_test"] = {"BOOL": True}
    if delivery.replay is not None:
        item["replay"] = s(delivery.replay)
    return item


def from_item(item: Mapping[str, Any]) -> Delivery:
    """Read a row; `Malformed` if this version cannot read it."""
    if (version := items.number(item, "v")) > ROW_VERSION:
        raise Malformed(f"the row of a delivery has the unknown version {version}")
    made: tuple[Attempt, ...] = tuple(map(attempts.from_text, items.text_list(item, "attempts")))
    reason = items.optional_text(item, "reason")
    try:
        return Delivery(
            key=read_key(item),
            channel=items.text(item, "channel"),
            event_type=items.text(item, "event_type"),
            status=Status(items.text(item, "status")),
            attempt=items.number(item, "attempt"),
            generation=items.number(item, "generation"),
            reason=Reason(reason) if reason else None,
            next_attempt_at=items.optional_number(item, NEXT_ATTEMPT_AT),
            attempts=made,
            is_test=items.flag(item, "is_test", default=False),
            replay=items.optional_text(item, "replay"),
        )
    except ValueError as error:
        raise Malformed("the row of a delivery holds an unknown value") from error


def read_found(found: Mapping[str, Any] | None) -> Delivery | None:
    """Read the row that a failed condition found; None if it found none."""
    return from_item(found) if found else None


def index_attributes(delivery: Delivery) -> Item:
    """Return the attributes that exist only while the row belongs in an index, and the reason."""
    attributes: Item = {}
    if delivery.reason is not None:
        attributes["reason"] = s(delivery.reason)
    if delivery.status.is_open and delivery.next_attempt_at is not None:
        attributes[NEXT_ATTEMPT_AT] = n(delivery.next_attempt_at)
        attributes[DUE_SHARD] = s(str(shard_of(delivery.key.event_id)))
    if delivery.status is not Status.DELIVERED:
        attributes[UNDELIVERED] = s(delivery.key.endpoint_id)
    return attributes
