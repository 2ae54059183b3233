"""`PUT /v1/event-types/{name}`: the platform's event types, which all workspaces have."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final

from posthorn.api import bodies
from posthorn.api.http import Answer, Request
from posthorn.api.problems import Problem
from posthorn.api.route import Route
from posthorn.api.routes import event_type_views
from posthorn.api.routes.event_type_definitions import EventTypeDefinition, creatable
from posthorn.api.routes.event_types import ONE, too_many
from posthorn.domain.api_key import PLATFORM
from posthorn.domain.compare_and_set import compare_and_set
from posthorn.domain.event_types import EventType, EventTypeSource
from posthorn.domain.ids import EVENT_TYPE

if TYPE_CHECKING:
    from posthorn.api.answers.event_types import EventTypeResult
    from posthorn.api.services import Services


def put_event_type(services: Services, request: Request) -> Answer[EventTypeResult]:
    """Create the platform's type with this name, or change it; of concurrent requests, one creates it."""
    store = services.event_types.store
    wanted = bodies.validate(EventTypeDefinition, bodies.parse(request))
    name = creatable(services, request.path["name"])
    example, schema = wanted.checked()
    made = EventType(
        name=request.path["name"],
        description=wanted.description,
        example=example,
        source=EventTypeSource.PLATFORM,
        schema=schema,
        created_at=services.clock(),
        made_by=services.new_id(EVENT_TYPE),
    )

    def attempt() -> tuple[EventType, int] | None:
        if (old := store.get(PLATFORM, name)) is not None:
            new = replace(old, description=made.description, example=made.example, schema=made.schema)
            return (new, 200) if store.change(PLATFORM, old, new) else None
        if store.create(PLATFORM, made):
            return made, 201
        if (found := store.get(PLATFORM, name)) is None:
            raise too_many(PLATFORM)
        return (made, 201) if found == made else None  # the response was lost, and botocore repeated the call

    one, status = compare_and_set(attempt, contended=_contended())
    services.event_types.forget(PLATFORM, name)
    return Answer({"eventType": event_type_views.event_type(one)}, status=status)


ROUTES: Final = (
    Route(
        "PUT",
        ONE,
        PLATFORM,
        put_event_type,
        "Create an event type for all workspaces, or change it",
        EventTypeDefinition,
        is_upsert=True,
        has_slashes=True,
        note=(
            "Replaces description, example and schema. A new type can be published and subscribed to in every workspace"
            " at once; a change takes effect within 30 seconds. A workspace's own type with the same name is hidden"
            " within 30 seconds, and decides again once this one is deleted. List and delete these types with a platform"
            " key and without the header."
        ),
    ),
)


def _contended() -> Problem:
    detail = "Other requests are changing the event type at the same time. Retry the request."
    return Problem(409, "concurrent_changes", detail)
