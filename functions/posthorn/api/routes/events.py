"""`/v1/events`: publishes events."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, Final

from pydantic import Field, StringConstraints

from posthorn.api import bodies, idempotency, publish_limits, timestamps
from posthorn.api.http import Answer, Request
from posthorn.api.problems import FieldError, invalid
from posthorn.api.route import Route
from posthorn.api.routes.batch_workspaces import workspaces_of
from posthorn.api.timestamps import Timestamp
from posthorn.domain import matching
from posthorn.domain.api_key import Scope
from posthorn.domain.clock import rfc3339
from posthorn.domain.errors import RefusedEventType
from posthorn.domain.ids import EVENT
from posthorn.domain.limits import MAX_BATCH, MAX_DATA
from posthorn.domain.models import Event
from posthorn.domain.workspace import NAME_PATTERN

if TYPE_CHECKING:
    from collections.abc import Mapping

    from posthorn.api.answers.events import AcceptedEvent, PublishBatchResult, PublishResult
    from posthorn.api.services import Services
    from posthorn.domain.event_types import EventType
    from posthorn.domain.models import EventSummary


class NewEvent(bodies.Body):
    """An event to publish."""

    event: Annotated[str, StringConstraints(min_length=1, max_length=matching.MAX_TYPE_LENGTH)] = Field(
        description="Its type, such as `CONTACT_CREATED`, `orders/create` or `repo:push`. Receivers get it as spelled here."
    )
    data: dict[str, Any] = Field(description="What happened: any JSON object of up to 256 KB.")
    created_at: Timestamp | None = Field(default=None, description="When it happened. By default, now.")
    workspace: Annotated[str, StringConstraints(pattern=NAME_PATTERN)] | None = Field(
        default=None,
        description="The id or uid of its workspace. Required with a platform key, unless the header names it.",
    )


class NewEvents(bodies.Body):
    """A batch of up to 100 events to publish."""

    events: Annotated[list[dict[str, Any]], Field(min_length=1, max_length=MAX_BATCH)] = Field(
        description="The events. Either all of them are accepted, or none."
    )


def publish_events(services: Services, request: Request) -> Answer[PublishResult | PublishBatchResult]:
    """Accept one event or a batch; a batch is validated as a whole before any event is accepted."""
    value = bodies.parse(request)
    if "events" not in value:
        (event,) = _accept(services, request, {"": value})
        return Answer({"event": event})
    batch = bodies.validate(NewEvents, value)
    values = {bodies.pointer(["events", at]): one for at, one in enumerate(batch.events)}
    return Answer({"events": _accept(services, request, values)})


def accepted(event: Event | EventSummary) -> AcceptedEvent:
    """Show an accepted event."""
    return {"id": event.id, "event": event.type, "created_at": event.created_at}


def checked_data(services: Services, event_type: EventType, data: dict[str, Any], at: str) -> str:
    """Validate an event's data and return it as JSON, exactly as it will be sent; `at` is its JSON pointer."""
    too_long = f"The data of an event must be at most {MAX_DATA // 1024} KB."
    text = bodies.written(data, at, limit=MAX_DATA, too_long=too_long)
    schema = services.event_types.schema_of(event_type)
    if schema is not None and (found := schema.complaints(data, size=len(text))):
        errors = [FieldError(at + bodies.pointer(one.path), one.detail) for one in found]
        raise invalid(errors, "schema_violation")
    return text


ROUTES: Final = (
    Route(
        "POST",
        "/v1/events",
        Scope.PUBLISH,
        publish_events,
        "Publish one event, or up to 100",
        NewEvent,
        status=202,
        is_rate_limited=True,
        needs_active_workspace=True,
        may_name_workspaces=True,
        note=(
            "A platform key can publish for up to 100 workspaces in one request: each event names its `workspace`, and"
            " one that is unknown or suspended refuses all events. An Idempotency-Key is then bound to the"
            " installation, not to a workspace. A workspace over its limit `eventsPerSecond` refuses all events with 429,"
            " before any is accepted; a repetition counts, too."
        ),
    ),
)


@dataclass(frozen=True, slots=True)
class _Checked:
    """A valid event, as it will be sent."""

    workspace: str
    type: str
    data: str
    created_at: str | None

    def event(self, event_id: str, decided_at: int) -> Event:
        return Event(
            id=event_id,
            channel=self.workspace,
            workspace=self.workspace,
            type=self.type,
            data=self.data,
            created_at=self.created_at or rfc3339(decided_at),
        )


def _accept(
    services: Services, request: Request, values: Mapping[str, dict[str, Any]]
) -> list[AcceptedEvent]:
    """Accept the events of a request, by their JSON pointers: all of them, or none."""
    wanted = {at: bodies.validate(NewEvent, value, at=at) for at, value in values.items()}
    named = {f"{at}/workspace": one.workspace for at, one in wanted.items()}
    owners = workspaces_of(services, request, named)
    services.event_types.look_up(zip(owners, (one.event for one in wanted.values()), strict=True))
    checked = [
        _checked(services, owner, one, at) for owner, (at, one) in zip(owners, wanted.items(), strict=True)
    ]
    publish_limits.check(services, request, dict(zip(wanted, owners, strict=True)))
    decision = idempotency.decide(services, request, [services.new_id(EVENT) for _ in checked])
    events = [
        one.event(event_id, decision.decided_at) for event_id, one in zip(decision.ids, checked, strict=True)
    ]
    if not decision.is_done:
        services.events.accept(events, now_ms=decision.decided_at, is_repeated=not decision.is_new)
        idempotency.finish(services, request, decision)
    return [accepted(event) for event in events]


def _checked(services: Services, workspace: str, wanted: NewEvent, at: str) -> _Checked:
    try:
        event_type = services.event_types.published(workspace, wanted.event)
    except RefusedEventType as refusal:
        raise invalid([FieldError(f"{at}/event", refusal.detail)], refusal.code) from refusal
    data = checked_data(services, event_type, wanted.data, f"{at}/data")
    return _Checked(workspace, wanted.event, data, _timestamp(wanted.created_at, f"{at}/created_at"))


def _timestamp(text: str | None, at: str) -> str | None:
    """Normalize a timestamp: UTC, with milliseconds only if they were given."""
    if text is None:
        return None
    timestamp = timestamps.read(text, at)
    precision = "milliseconds" if timestamp.microsecond else "seconds"
    return timestamp.replace(tzinfo=None).isoformat(timespec=precision) + "Z"
