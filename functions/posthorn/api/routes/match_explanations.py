"""Explains why an event was or was not delivered to an endpoint."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from posthorn.domain.ids import made_at
from posthorn.domain.matching import MatchReason, matching_pattern
from posthorn.domain.models import Reason
from posthorn.stores.deleted_endpoints import DeletedEndpoint

if TYPE_CHECKING:
    from posthorn.domain.models import Delivery, Endpoint, EventSummary


SENTENCES: Final = {
    MatchReason.MATCHED: "This endpoint is subscribed to the event's type.",
    MatchReason.TEST: "The event is a test of this endpoint.",
    MatchReason.TEST_OF_ANOTHER: "The event is a test of another endpoint.",
    MatchReason.TYPE_NOT_WANTED: "This endpoint is not subscribed to the event's type.",
    MatchReason.CREATED_LATER: "This endpoint was created after the event.",
    MatchReason.DISABLED: "The event matches this endpoint, but the endpoint is disabled, or was at that time.",
    MatchReason.DELETED: "This endpoint was deleted.",
    MatchReason.UNREADABLE: (
        "A newer version of Posthorn wrote this endpoint, and this version cannot read it."
        " Its deliveries wait until a version is deployed that can."
    ),
}


@dataclass(frozen=True, slots=True)
class MatchExplanation:
    """Whether one event matched one endpoint, and why."""

    matched: bool
    reason: MatchReason
    pattern: str | None = None  # the first of the endpoint's current patterns that matches the type


@dataclass(frozen=True, slots=True)
class DeliveryRecord:
    """A delivery's row; `delivery` is None if the row exists but this version cannot read it."""

    delivery: Delivery | None


def explain(
    event: EventSummary, endpoint: Endpoint | DeletedEndpoint, record: DeliveryRecord | None
) -> MatchExplanation:
    """Judge by the delivery if there is one, since endpoints change; else by the endpoint's current or last state."""
    if event.target is not None and event.target != endpoint.id:
        return MatchExplanation(matched=False, reason=MatchReason.TEST_OF_ANOTHER)
    pattern = matching_pattern(endpoint.events, event.type)
    reason = _without_record(event, endpoint, pattern) if record is None else _with_record(event, record)
    return MatchExplanation(
        reason in {MatchReason.MATCHED, MatchReason.TEST, MatchReason.DISABLED}, reason, pattern
    )


def _with_record(event: EventSummary, record: DeliveryRecord) -> MatchReason:
    if record.delivery is not None and record.delivery.reason is Reason.ENDPOINT_DISABLED:
        return MatchReason.DISABLED
    return MatchReason.MATCHED if event.target is None else MatchReason.TEST


def _without_record(
    event: EventSummary, endpoint: Endpoint | DeletedEndpoint, pattern: str | None
) -> MatchReason:
    if isinstance(endpoint, DeletedEndpoint):
        return MatchReason.DELETED
    if event.target is None and pattern is None:
        return MatchReason.TYPE_NOT_WANTED
    if endpoint.created_at > made_at(event.id):
        return MatchReason.CREATED_LATER
    if not endpoint.enabled:
        return MatchReason.DISABLED
    return MatchReason.MATCHED if event.target is None else MatchReason.TEST
