"""Answers about event destinations."""

from typing import Literal, NotRequired, TypedDict

from posthorn.api.answers.fields import Time, Warned
from posthorn.api.answers.webhooks import Undelivered
from posthorn.domain.endpoint_kind import PayloadFormat
from posthorn.domain.models import DisabledReason, Health


class EventDestination(TypedDict):
    """A URL that receives the email events of a configuration set."""

    destination_id: str
    """Identifies the event destination."""
    name: str | None
    """Its name."""
    destination_type: Literal["WEBHOOK"]
    """Always `WEBHOOK`."""
    webhook_url: str
    """Where deliveries are sent."""
    matching_event_types: list[str]
    """The email event types it is subscribed to; `*` stands for all."""
    enabled: bool
    """Whether events are delivered to it."""
    created_at: Time
    """When it was created."""
    format: PayloadFormat
    """The format of the body."""
    disabled_reason: NotRequired[DisabledReason]
    """Why it is disabled; only while it is."""
    disabled_at: NotRequired[Time]
    """When it was disabled; only while it is."""
    health: NotRequired[Health]
    """How its receiver has been doing lately; absent while it is healthy."""
    health_since: NotRequired[Time]
    """Since when it has that health; absent while it is healthy."""


class CreatedEventDestination(EventDestination, Warned):
    """The event destination that the request, or the one that it repeats, created."""


class EventDestinationUpdateResult(EventDestination, Warned):
    """The event destination after the change."""

    undelivered: NotRequired[Undelivered]
    """Only when this request enabled the destination: what it missed."""


class EventDestinationList(TypedDict):
    """A page of event destinations."""

    event_destinations: list[EventDestination]
    """The event destinations of this page, without those that only a newer version of Posthorn can read, after a
    rollback."""
    next_cursor: NotRequired[str]
    """The `cursor` of the next page; absent on the last one."""
