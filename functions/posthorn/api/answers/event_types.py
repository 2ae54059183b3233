"""Answers about event types."""

from typing import Any, Literal, NotRequired, TypedDict

from posthorn.api.answers.fields import Time


class EventType(TypedDict):
    """A type of event that can be published and subscribed to."""

    name: str
    """Its name, such as `CONTACT_CREATED`, as it was created."""
    description: str
    """What its events mean."""
    example: dict[str, Any]
    """Example data, which test events are sent with."""
    source: Literal["built-in", "platform", "own"]
    """`built-in`, `platform` if all workspaces have it, or `own` if the workspace created it."""
    operational: NotRequired[bool]
    """True when Posthorn publishes its events, about the workspace's webhooks; absent otherwise."""
    schema: NotRequired[dict[str, Any]]
    """The JSON Schema that data of its events must match; absent without one."""
    createdAt: NotRequired[Time]
    """When it was created; absent for built-in types."""


class EventTypeList(TypedDict):
    """A page of event types."""

    eventTypes: list[EventType]
    """The event types of this page."""
    nextCursor: NotRequired[str]
    """The `cursor` of the next page; absent on the last one."""


class EventTypeResult(TypedDict):
    """One event type."""

    eventType: EventType
    """The event type."""
