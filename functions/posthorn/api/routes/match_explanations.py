"""Why an event did or did not go to an endpoint."""

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
    MatchReason.MATCHED: "The event's type is one that this endpoint wants.",
    MatchReason.TEST: "The event is a test of this endpoint.",
    MatchReason.TEST_OF_ANOTHER: "The event is a test of another endpoint.",
    MatchReason.TYPE_NOT_WANTED: "The event's type is none that this endpoint wants.",
    MatchReason.CREATED_LATER: "The endpoint was created after the event.",
    MatchReason.DISABLED: "The event is one for this endpoint, but the endpoint is, or then was, disabled.",
    MatchReason.DELETED: "The endpoint was deleted.",
}


@dataclass(frozen=True, slots=True)
class MatchExplanation:
    """What is to be said about one event and one endpoint."""

    matched: bool
    reason: MatchReason
    pattern: str | None = None  # the first that covers the type, as the endpoint has it now


@dataclass(frozen=True, slots=True)
class DeliveryRecord:
    """A delivery's row; None when it makes no sense to this version, but then there is one all the same."""

    delivery: Delivery | None


def explain(
    event: EventSummary, endpoint: Endpoint | DeletedEndpoint, record: DeliveryRecord | None
) -> MatchExplanation:
    """Judge by the delivery if there is one, since endpoints change; else by the endpoint as it is, or last was."""
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
