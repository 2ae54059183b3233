"""`/v1/event-types`: the built-in event types, those of the platform, and a workspace's own."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Final

from posthorn.api import bodies, idempotency
from posthorn.api.access import HEADER
from posthorn.api.http import Answer, Request
from posthorn.api.problems import Problem, not_found
from posthorn.api.route import PAGED, Route
from posthorn.api.routes import event_type_views
from posthorn.api.routes.event_type_definitions import NewEventType, creatable
from posthorn.domain import matching
from posthorn.domain.api_key import PLATFORM, Scope
from posthorn.domain.errors import RefusedEventType
from posthorn.domain.event_types import EventType, EventTypeSource
from posthorn.domain.ids import EVENT_TYPE
from posthorn.domain.limits import MAX_OWN

if TYPE_CHECKING:
    from posthorn.api.answers.event_types import EventTypeList, EventTypeResult
    from posthorn.api.answers.fields import Deleted
    from posthorn.api.services import Services
    from posthorn.stores.idempotency import Decision

_WHAT: Final = "event type"
_WITHOUT_HEADER: Final = f"A platform key that sends no `{HEADER}`"


def list_event_types(services: Services, request: Request) -> Answer[EventTypeList]:
    read = partial(event_type_views.page, services.event_types, _owner(request))
    page, cursor = services.cursors.page(request, read)
    content: EventTypeList = {"eventTypes": [event_type_views.event_type(one) for one in page]}
    if cursor is not None:
        content["nextCursor"] = cursor
    return Answer(content)


def create_event_type(services: Services, request: Request) -> Answer[EventTypeResult]:
    wanted = bodies.validate(NewEventType, bodies.parse(request))
    name, owner = creatable(services, wanted.name), _owner(request)
    example, schema = wanted.checked()
    decision = idempotency.decide(services, request, [services.new_id(EVENT_TYPE)])
    made = EventType(
        name=wanted.name,
        description=wanted.description,
        example=example,
        source=EventTypeSource.PLATFORM if owner == PLATFORM else EventTypeSource.OWN,
        schema=schema,
        created_at=decision.decided_at,
        made_by=decision.ids[0],
    )
    if decision.is_done or not _create(services, owner, made):
        made = _made_before(services, owner, decision, name)
    idempotency.finish(services, request, decision)
    return Answer({"eventType": event_type_views.event_type(made)})


def retrieve_event_type(services: Services, request: Request) -> Answer[EventTypeResult]:
    one = services.event_types.read(_owner(request), _name_in_path(request))
    if one is None:
        raise not_found(_WHAT)
    return Answer({"eventType": event_type_views.event_type(one)})


def delete_event_type(services: Services, request: Request) -> Answer[Deleted]:
    name, owner = _name_in_path(request), _owner(request)
    if name in services.event_types.built_in:
        raise Problem(409, "event_type_built_in", f"{name} is a built-in event type and cannot be deleted.")
    if not services.event_types.delete(owner, name):
        if services.event_types.store.get(PLATFORM, name) is None:
            raise not_found(_WHAT)
        detail = f"{name} is an event type of the platform: only a platform key can delete it."
        raise Problem(409, "event_type_of_platform", detail)
    return Answer({"deleted": True})


PATH: Final = "/v1/event-types"
ONE: Final = f"{PATH}/{{name}}"
ROUTES: Final = (
    Route(
        "GET",
        PATH,
        Scope.API_USER,
        list_event_types,
        "List event types: the built-in ones, then those of the platform, then your own",
        query=PAGED,
        may_span_workspaces=True,
        note=f"{_WITHOUT_HEADER} lists the built-in types and its own.",
    ),
    Route(
        "POST",
        PATH,
        Scope.ADMIN,
        create_event_type,
        "Create an event type",
        NewEventType,
        status=201,
        note=(
            "The type can be published and subscribed to at once. If it has a schema, the data of its events is"
            " validated against it. Supported are JSON Schema 2020-12, 2019-09 and draft 7, with references within the"
            " schema only and patterns that match in linear time."
            f" {_WITHOUT_HEADER} creates the type for all workspaces."
        ),
        may_span_workspaces=True,
    ),
    Route(
        "GET",
        ONE,
        Scope.API_USER,
        retrieve_event_type,
        "Retrieve an event type",
        may_span_workspaces=True,
        has_slashes=True,
    ),
    Route(
        "DELETE",
        ONE,
        Scope.ADMIN,
        delete_event_type,
        "Delete one of your own event types",
        note=(
            "Publishing the type fails after at most 30 seconds. Webhooks that subscribe to it keep it in their list."
            f" {_WITHOUT_HEADER} deletes a type of all workspaces."
        ),
        may_span_workspaces=True,
        has_slashes=True,
    ),
)


def _name_in_path(request: Request) -> str:
    try:
        return matching.canonical(request.path["name"])
    except RefusedEventType:
        raise not_found(_WHAT) from None


def _owner(request: Request) -> str:
    return request.workspace or PLATFORM


def _create(services: Services, owner: str, made: EventType) -> bool:
    store, name = services.event_types.store, made.name
    return (owner == PLATFORM or store.get(PLATFORM, name) is None) and store.create(owner, made)


def _made_before(services: Services, owner: str, decision: Decision, name: str) -> EventType:
    """Return the type that an earlier try of this request created, or refuse the name."""
    store = services.event_types.store
    found = store.get(owner, name)
    if found is not None and found.made_by == decision.ids[0]:
        return found
    if decision.is_done:
        detail = "The event type created with this Idempotency-Key was deleted."
        raise Problem(409, "idempotency_key_reused", detail)
    found = found or store.get(PLATFORM, name)
    if found is None:
        raise too_many(owner)
    whose = " of the platform" if found.source is EventTypeSource.PLATFORM else ""
    detail = f"The name must be unique: event type {found.name}{whose} already exists."
    raise Problem(409, "event_type_exists", detail)


def too_many(owner: str) -> Problem:
    holder = "The platform" if owner == PLATFORM else "A workspace"
    return Problem(
        409, "too_many_event_types", f"{holder} can have at most {MAX_OWN} event types of its own."
    )
