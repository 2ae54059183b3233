"""`/v1/events`: publishing, and what became of what was published."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Annotated, Any, Final

from pydantic import Field, StringConstraints

from posthorn import matching
from posthorn.api_keys import Scope
from posthorn.catalogue import built_in
from posthorn.clock import rfc3339, rfc3339_ms
from posthorn.errors import RefusedEventType, RefusedJson, Unavailable
from posthorn.ids import EVENT, is_id
from posthorn.models import DeliveryKey, Event
from posthorn.routes import bodies, idempotent, moments
from posthorn.routes.moments import Moment
from posthorn.routes.problems import FieldError, invalid, not_found
from posthorn.routes.route import Answer, Request, Route
from posthorn.stores.events import MAX_DATA
from posthorn.wire.ecmascript import stringify

if TYPE_CHECKING:
    from posthorn.models import Attempt, Delivery
    from posthorn.routes.office import Office

MAX_BATCH: Final = 100


class NewEvent(bodies.Body):
    """An event to be published."""

    event: Annotated[str, StringConstraints(min_length=1, max_length=matching.MAX_TYPE_LENGTH)]
    data: dict[str, Any]
    created_at: Moment | None = None


class NewEvents(bodies.Body):
    """Up to a hundred events to be published together."""

    events: Annotated[list[dict[str, Any]], Field(min_length=1, max_length=MAX_BATCH)]


def publish(office: Office, request: Request) -> Answer:
    """Accept one event or a batch; all of a batch is checked before any of it is accepted."""
    value = bodies.parse(request)
    if "events" not in value:
        (event,) = _accept(office, request, [_checked(value, "")])
        return Answer({"event": event}, 202)
    batch = bodies.validate(NewEvents, value)
    checked = [_checked(one, bodies.pointer(["events", at])) for at, one in enumerate(batch.events)]
    return Answer({"events": _accept(office, request, checked)}, 202)


def retrieve_event(office: Office, request: Request) -> Answer:
    event_id = request.path["eventId"]
    event = office.events.get(request.workspace, event_id) if is_id(event_id, EVENT) else None
    if event is None:
        raise not_found("event")
    keys = [DeliveryKey(webhook.id, event.id) for webhook in office.endpoints.of_channel(request.workspace)]
    found, unknown = office.deliveries.get_many(keys)
    if unknown:
        raise Unavailable("batch_get_item", "Incomplete")  # a part of the truth would look like all of it
    shown = {
        **_accepted(event),
        "data": json.loads(event.data),
        "deliveries": [_delivery(row) for key in keys if (row := found.get(key)) is not None],
    }
    return Answer({"event": shown})


ROUTES: Final = (
    Route("POST", "/v1/events", Scope.API_USER, publish, "Publish one event, or up to 100", NewEvent),
    Route("GET", "/v1/events/{eventId}", Scope.USER, retrieve_event, "Retrieve an event and its deliveries"),
)


def _checked(value: dict[str, Any], at: str) -> tuple[str, str, str | None]:
    """Return type, data as it goes on the wire, and time of one event; `at` is its JSON pointer."""
    wanted = bodies.validate(NewEvent, value, at=at)
    try:
        matching.check_published(wanted.event, built_in())
    except RefusedEventType as refusal:
        raise invalid([FieldError(f"{at}/event", refusal.detail)], refusal.code) from refusal
    try:
        data = stringify(wanted.data)
    except RefusedJson as refusal:
        raise invalid([FieldError(f"{at}/data", refusal.detail)], refusal.code) from refusal
    if len(data.encode()) > MAX_DATA:
        raise bodies.too_large("The data of an event may have 256 KB.", f"{at}/data")
    return wanted.event, data, _moment(wanted.created_at, f"{at}/created_at")


def _accept(
    office: Office, request: Request, checked: list[tuple[str, str, str | None]]
) -> list[dict[str, str]]:
    decision = idempotent.decide(office, request, [office.new_id(EVENT) for _ in checked])
    events = [
        Event(
            id=event_id,
            channel=request.workspace,
            workspace=request.workspace,
            type=event_type,
            data=data,
            created_at=created_at or rfc3339(decision.decided_at),
        )
        for event_id, (event_type, data, created_at) in zip(decision.ids, checked, strict=True)
    ]
    if not decision.is_done:
        office.events.accept(events, now_ms=decision.decided_at)
        idempotent.finish(office, request, decision)
    return [_accepted(event) for event in events]


def _moment(text: str | None, at: str) -> str | None:
    """Return a time the way it goes on the wire: UTC, milliseconds only where they were given."""
    if text is None:
        return None
    moment = moments.read(text, at)
    precision = "milliseconds" if moment.microsecond else "seconds"
    return moment.replace(tzinfo=None).isoformat(timespec=precision) + "Z"


def _accepted(event: Event) -> dict[str, str]:
    return {"id": event.id, "event": event.type, "created_at": event.created_at}


def _delivery(row: Delivery) -> dict[str, Any]:
    shown: dict[str, Any] = {
        "webhookId": row.key.endpoint_id,
        "status": row.status,
        "attempts": [_attempt(attempt) for attempt in row.attempts],
    }
    if row.reason is not None:
        shown["reason"] = row.reason
    if row.next_attempt_at is not None:
        shown["nextAttemptAt"] = rfc3339_ms(row.next_attempt_at)
    return shown


def _attempt(attempt: Attempt) -> dict[str, Any]:
    outcome = attempt.outcome
    shown: dict[str, Any] = {
        "attempt": attempt.number,
        "startedAt": rfc3339_ms(attempt.started_at),
        "latencyMs": outcome.timings.total,
    }
    if outcome.status is not None:
        shown["status"] = outcome.status
    if outcome.failure is not None:
        shown["failure"] = outcome.failure
        shown["error"] = outcome.error
    return shown
