"""`/v1/event-types`: the built-in event types and a workspace's own."""

from __future__ import annotations

import json
from functools import partial
from typing import TYPE_CHECKING, Annotated, Any, Final

from pydantic import Field, StringConstraints

from posthorn.api import bodies, idempotency
from posthorn.api.http import Answer, Request
from posthorn.api.problems import FieldError, Problem, invalid, not_found
from posthorn.api.route import PAGED, Route
from posthorn.domain import matching
from posthorn.domain.api_key import Scope
from posthorn.domain.clock import rfc3339
from posthorn.domain.errors import RefusedEventType, RefusedSchema
from posthorn.domain.event_types import EventType
from posthorn.domain.ids import EVENT_TYPE
from posthorn.domain.limits import MAX_JSON, MAX_OWN
from posthorn.schemas.schema import compiled

if TYPE_CHECKING:
    from posthorn.api.answers import event_types as answers
    from posthorn.api.answers.event_types import EventTypeList, EventTypeResult
    from posthorn.api.answers.fields import Deleted
    from posthorn.api.event_type_registry import EventTypeRegistry
    from posthorn.api.services import Services
    from posthorn.stores.idempotency import Decision

_WHAT: Final = "event type"
_BUILT_IN, _OWN = "built-in#", "own#"  # prefixes of a cursor's position


NAME_RULE: Final = (
    f"Its name: 1 to {matching.MAX_TYPE_LENGTH} letters, digits and `_`, `.`, `:`, `/`, `-`, beginning with a letter or"
    " a digit, such as `invoice.paid`, `orders/create` or `repo:push`. `INVOICE_PAID` and `invoice.paid` are two"
    " spellings of one name; any other difference makes another name."
)


class NewEventType(bodies.Body):
    """The body of a request that creates an event type."""

    name: Annotated[str, StringConstraints(min_length=1, max_length=matching.MAX_TYPE_LENGTH)] = Field(
        description=NAME_RULE
    )
    description: Annotated[str, StringConstraints(min_length=1, max_length=500)] = Field(
        description="What its events mean."
    )
    example: dict[str, Any] = Field(
        default_factory=dict[str, Any], description="Example data, which test events are sent with."
    )
    # pydantic's BaseModel already has an attribute `schema`
    json_schema: dict[str, Any] | None = Field(
        default=None, alias="schema", description="A JSON Schema that data of its events must match."
    )


def list_event_types(services: Services, request: Request) -> Answer[EventTypeList]:
    page, cursor = services.cursors.page(request, partial(_page, services.event_types, request.workspace))
    content: EventTypeList = {"eventTypes": [_shown(one) for one in page]}
    if cursor is not None:
        content["nextCursor"] = cursor
    return Answer(content)


def _page(
    registry: EventTypeRegistry, workspace: str, *, after: str | None, limit: int
) -> tuple[list[EventType], str | None]:
    """Return built-in types, then a workspace's own, and the position after which the next page starts, if any."""
    after = after or _BUILT_IN
    shown: list[EventType] = []
    if after.startswith(_BUILT_IN):
        ours, last = list(registry.built_in.values()), after.removeprefix(_BUILT_IN)
        start = list(registry.built_in).index(last) + 1 if last in registry.built_in else 0
        shown = ours[start : start + limit]
        after = _OWN if start + len(shown) == len(ours) else _BUILT_IN + shown[-1].name
    if after == _OWN and len(shown) == limit:  # the built-in types fill this page: are there others?
        found, _ = registry.own.page(workspace, after=None, limit=1)
        after = _OWN if found else None
    elif after.startswith(_OWN):
        found, last_own = registry.own.page(
            workspace, after=after.removeprefix(_OWN) or None, limit=limit - len(shown)
        )
        # the operator may have left out the built-in types when a workspace created one with the same name
        shown += [one for one in found if matching.canonical(one.name) not in registry.built_in]
        after = None if last_own is None else _OWN + last_own
    return shown, after


def create_event_type(services: Services, request: Request) -> Answer[EventTypeResult]:
    wanted = bodies.validate(NewEventType, bodies.parse(request))
    try:
        name = services.event_types.creatable(wanted.name)
    except RefusedEventType as refusal:
        raise invalid([FieldError("/name", refusal.detail)], refusal.code) from refusal
    example, schema = bodies.written(wanted.example, "/example", limit=MAX_JSON), None
    if wanted.json_schema is not None:
        schema = bodies.written(wanted.json_schema, "/schema", limit=MAX_JSON)
        _check_example(wanted.json_schema, wanted.example, size=len(example))
    decision = idempotency.decide(services, request, [services.new_id(EVENT_TYPE)])
    made = EventType(
        name=wanted.name,
        description=wanted.description,
        example=json.loads(example),
        schema=schema,
        created_at=decision.decided_at,
        made_by=decision.ids[0],
    )
    if decision.is_done or not services.event_types.own.create(request.workspace, made):
        made = _made_before(services, request, decision, name)
    idempotency.finish(services, request, decision)
    return Answer({"eventType": _shown(made)})


def retrieve_event_type(services: Services, request: Request) -> Answer[EventTypeResult]:
    name = _name_in_path(request)
    one = services.event_types.built_in.get(name) or services.event_types.own.get(request.workspace, name)
    if one is None:
        raise not_found(_WHAT)
    return Answer({"eventType": _shown(one)})


def delete_event_type(services: Services, request: Request) -> Answer[Deleted]:
    name = _name_in_path(request)
    if name in services.event_types.built_in:
        raise Problem(409, "event_type_built_in", f"{name} is a built-in event type and cannot be deleted.")
    if not services.event_types.delete(request.workspace, name):
        raise not_found(_WHAT)
    return Answer({"deleted": True})


PATH: Final = "/v1/event-types"
ROUTES: Final = (
    Route(
        "GET",
        PATH,
        Scope.API_USER,
        list_event_types,
        "List event types, the built-in ones first, then your own",
        query=PAGED,
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
        ),
    ),
    Route(
        "GET",
        f"{PATH}/{{name}}",
        Scope.API_USER,
        retrieve_event_type,
        "Retrieve an event type",
        has_slashes=True,
    ),
    Route(
        "DELETE",
        f"{PATH}/{{name}}",
        Scope.ADMIN,
        delete_event_type,
        "Delete one of your own event types",
        note="Publishing the type fails after at most 30 seconds. Webhooks that subscribe to it keep it in their list.",
        has_slashes=True,
    ),
)


def _name_in_path(request: Request) -> str:
    try:
        return matching.canonical(request.path["name"])
    except RefusedEventType:
        raise not_found(_WHAT) from None


def _check_example(schema: dict[str, Any], example: dict[str, Any], *, size: int) -> None:
    """Refuse an unsupported schema, and an example that does not match it; a missing example is `{}`."""
    try:
        ready = compiled(schema)
    except RefusedSchema as refusal:
        raise invalid(
            [FieldError("/schema" + bodies.pointer(refusal.path), refusal.detail)], refusal.code
        ) from None
    if example and (found := ready.complaints(example, size=size)):
        errors = [FieldError("/example" + bodies.pointer(one.path), one.detail) for one in found]
        raise invalid(errors, "schema_violation")


def _made_before(services: Services, request: Request, decision: Decision, name: str) -> EventType:
    """Return the type that an earlier try of this request created, or refuse the name."""
    found = services.event_types.own.get(request.workspace, name)
    if found is not None and found.made_by == decision.ids[0]:
        return found
    if decision.is_done:
        detail = "The event type created with this Idempotency-Key was deleted."
        raise Problem(409, "idempotency_key_reused", detail)
    if found is not None:
        raise Problem(
            409, "event_type_exists", f"The name must be unique: event type {found.name} already exists."
        )
    raise Problem(
        409, "too_many_event_types", f"A workspace can have at most {MAX_OWN} event types of its own."
    )


def _shown(one: EventType) -> answers.EventType:
    shown: answers.EventType = {
        "name": one.name,
        "description": one.description,
        "example": one.example,
        "source": "built-in" if one.created_at is None else "own",
    }
    if one.operational:
        shown["operational"] = True
    if one.schema is not None:
        shown["schema"] = json.loads(one.schema)
    if one.created_at is not None:
        shown["createdAt"] = rfc3339(one.created_at)
    return shown
