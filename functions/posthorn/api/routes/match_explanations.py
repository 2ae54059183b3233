"""Why an event did or did not go to an endpoint."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Final

from posthorn.domain.ids import made_at
from posthorn.domain.matching import matching_pattern
from posthorn.domain.models import Reason
from posthorn.stores.deleted_endpoints import Tombstone

if TYPE_CHECKING:
    from posthorn.domain.models import Delivery, Endpoint, Headline


class Why(StrEnum):
    """The one reason that decides."""

    MATCHED = "matched"
    TEST = "test"  # the event is a test of this endpoint
    TEST_OF_ANOTHER = "test_of_another"
    TYPE_NOT_WANTED = "type_not_wanted"
    CREATED_LATER = "created_later"
    DISABLED = "disabled"
    DELETED = "deleted"


SENTENCES: Final = {
    Why.MATCHED: "The event's type is one that this endpoint wants.",
    Why.TEST: "The event is a test of this endpoint.",
    Why.TEST_OF_ANOTHER: "The event is a test of another endpoint.",
    Why.TYPE_NOT_WANTED: "The event's type is none that this endpoint wants.",
    Why.CREATED_LATER: "The endpoint was created after the event.",
    Why.DISABLED: "The event is one for this endpoint, but the endpoint is, or then was, disabled.",
    Why.DELETED: "The endpoint was deleted.",
}


@dataclass(frozen=True, slots=True)
class Verdict:
    """What is to be said about one event and one endpoint."""

    matched: bool
    why: Why
    pattern: str | None = None  # the first that covers the type, as the endpoint has it now


@dataclass(frozen=True, slots=True)
class Record:
    """A delivery's row; None when it makes no sense to this version, but then there is one all the same."""

    delivery: Delivery | None


def verdict(event: Headline, endpoint: Endpoint | Tombstone, record: Record | None) -> Verdict:
    """Judge by the delivery if there is one, since endpoints change; else by the endpoint as it is, or last was."""
    if event.target is not None and event.target != endpoint.id:
        return Verdict(matched=False, why=Why.TEST_OF_ANOTHER)
    pattern = matching_pattern(endpoint.events, event.type)
    why = _without_record(event, endpoint, pattern) if record is None else _with_record(event, record)
    return Verdict(why in {Why.MATCHED, Why.TEST, Why.DISABLED}, why, pattern)


def _with_record(event: Headline, record: Record) -> Why:
    if record.delivery is not None and record.delivery.reason is Reason.ENDPOINT_DISABLED:
        return Why.DISABLED
    return Why.MATCHED if event.target is None else Why.TEST


def _without_record(event: Headline, endpoint: Endpoint | Tombstone, pattern: str | None) -> Why:
    if isinstance(endpoint, Tombstone):
        return Why.DELETED
    if event.target is None and pattern is None:
        return Why.TYPE_NOT_WANTED
    if endpoint.created_at > made_at(event.id):
        return Why.CREATED_LATER
    if not endpoint.enabled:
        return Why.DISABLED
    return Why.MATCHED if event.target is None else Why.TEST
