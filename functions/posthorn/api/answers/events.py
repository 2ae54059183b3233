"""Answers about events, and what became of them at each webhook."""

from typing import Any, NotRequired, TypedDict

from posthorn.api.answers.deliveries import Attempt, DeliveryState, UnreadableState
from posthorn.api.answers.fields import Time, spelled_by_kind
from posthorn.domain.matching import MatchReason
from posthorn.domain.models import DisabledReason


class AcceptedEvent(TypedDict):
    """An event that was accepted for delivery."""

    id: str
    """Identifies the event: `evt_` and 26 characters. Receivers find it in the header `webhook-id`."""
    event: str
    """Its type, as it was published."""
    created_at: Time
    """When it happened: the time that it was published with, or when it was accepted."""


class PublishResult(TypedDict):
    """One event was accepted."""

    event: AcceptedEvent
    """The accepted event."""


class PublishBatchResult(TypedDict):
    """A batch of events was accepted."""

    events: list[AcceptedEvent]
    """The accepted events, in the order of the request."""


@spelled_by_kind
class EventDelivery(DeliveryState):
    """The state of an event at one webhook."""

    webhook_id: str
    """The webhook's id."""
    deleted_at: NotRequired[Time]
    """When the webhook was deleted; absent while it exists."""


@spelled_by_kind
class EventDeliveryDetail(EventDelivery):
    """The state of an event at one webhook, with the attempts."""

    attempts: list[Attempt]
    """Every attempt that is on record, the oldest first."""


@spelled_by_kind
class UnreadableEventDelivery(UnreadableState):
    """Stands in for a delivery that a newer version of Posthorn wrote and this one cannot read."""

    webhook_id: str
    """The webhook's id."""
    deleted_at: NotRequired[Time]
    """When the webhook was deleted; absent while it exists."""


class EventSummary(AcceptedEvent):
    """An accepted event, and whether it was a test."""

    isTest: bool
    """Whether it was sent as a test of one webhook."""


class EventInList(EventSummary):
    """An event with the state of its deliveries."""

    matched: bool
    """Whether it was meant for any webhook."""
    deliveries: list[EventDelivery | UnreadableEventDelivery]
    """Its deliveries, one for each webhook; without webhooks that only a newer version of Posthorn can read."""


class Event(EventSummary):
    """An event with its data and its deliveries."""

    matched: bool
    """Whether it was meant for any webhook."""
    data: dict[str, Any] | None
    """The data it was published with; null if it was expunged."""
    expungedAt: NotRequired[Time]
    """When its data was expunged; absent while it is there."""
    deliveries: list[EventDeliveryDetail | UnreadableEventDelivery]
    """Its deliveries, one for each webhook, with their attempts; without webhooks that only a newer version of Posthorn
    can read."""


class ExpungedEvent(EventSummary):
    """An event whose data was expunged."""

    expungedAt: Time
    """When its data was expunged first."""


class ExpungedEventResult(TypedDict):
    """The event without its data."""

    event: ExpungedEvent
    """The event."""


class EventList(TypedDict):
    """A page of events."""

    events: list[EventInList]
    """The events of this page, the newest first."""
    nextCursor: NotRequired[str]
    """The `cursor` of the next page; absent on the last one. A page may be short, or empty, and not the last."""


class EventResult(TypedDict):
    """One event."""

    event: Event
    """The event."""


class Match(TypedDict):
    """Why an event did or did not go to one webhook."""

    webhookId: str
    """The webhook's id."""
    matched: bool
    """Whether the event was meant for the webhook."""
    reason: MatchReason
    """The reason that decided."""
    explanation: str
    """The reason in a sentence."""
    createdAt: Time
    """When the webhook was created."""
    pattern: NotRequired[str]
    """The first entry of the webhook's `events` that covers the event's type; absent if none does."""
    deletedAt: NotRequired[Time]
    """When the webhook was deleted; absent while it exists."""
    disabledReason: NotRequired[DisabledReason]
    """Why the webhook is disabled; only while it is."""
    disabledAt: NotRequired[Time]
    """When the webhook was disabled; only while it is."""
    delivery: NotRequired[DeliveryState | UnreadableState]
    """The delivery, if there is one."""


class MatchResult(TypedDict):
    """Why an event did or did not go to each webhook."""

    event: EventSummary
    """The event."""
    matched: bool
    """Whether the event was meant for any webhook."""
    webhooks: list[Match]
    """One explanation for each webhook of the workspace, recently deleted ones included. `unreadable` is the reason of
    a webhook that only a newer version of Posthorn can read, after a rollback: its deliveries wait."""
