"""`…/configuration-sets/{configSetId}/event-destinations`: the endpoints of a configuration set."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Annotated, Final

from pydantic import Field, StringConstraints

from posthorn.api import bodies
from posthorn.api.http import Answer, Request
from posthorn.api.problems import FieldError, Problem, invalid
from posthorn.api.route import PAGED, Route
from posthorn.api.routes import configuration_sets, endpoints
from posthorn.api.routes.endpoints import EventNames, Url
from posthorn.api.routes.payload_formats import EventDestinationFormat
from posthorn.api.routes.secret_rotation import DEFAULT_OVERLAP_MS, Secret, rotated, sealed, warn_about
from posthorn.domain.api_key import Scope
from posthorn.domain.clock import rfc3339
from posthorn.domain.email_types import EMAIL_TYPES, NAMES
from posthorn.domain.endpoint_kind import EndpointKind, PayloadFormat
from posthorn.domain.errors import RefusedEventType
from posthorn.domain.ids import DESTINATION
from posthorn.domain.matching import check_subscribed
from posthorn.domain.models import DisabledReason, Endpoint, Health

if TYPE_CHECKING:
    from posthorn.api.answers.event_destinations import (
        CreatedEventDestination,
        EventDestination,
        EventDestinationList,
        EventDestinationUpdateResult,
    )
    from posthorn.api.answers.fields import Deleted
    from posthorn.api.services import Services

PATH: Final = f"{configuration_sets.PATH}/{{configSetId}}/event-destinations"

_WHAT: Final = "event destination"

type DestinationName = Annotated[
    str, StringConstraints(min_length=1, max_length=64), Field(description="A name of yours.")
]
Enabled = Annotated[bool, Field(description="Whether events are delivered to it.")]


class NewEventDestination(bodies.Body):
    """The body of a request that creates an event destination."""

    name: DestinationName
    destination_type: Annotated[
        str, StringConstraints(max_length=64), Field(description="Must be `WEBHOOK`.")
    ]
    webhook_url: Url
    webhook_secret: Secret
    matching_event_types: EventNames
    enabled: Enabled = True
    format: EventDestinationFormat = PayloadFormat.SES_JSON


class EventDestinationChange(bodies.Body):
    """The fields to change; absent fields keep their values."""

    name: DestinationName = ""
    webhook_url: Url = ""
    webhook_secret: Secret = ""
    matching_event_types: EventNames = Field(default_factory=list[str])
    enabled: Enabled = True
    format: EventDestinationFormat = PayloadFormat.SES_JSON


def list_event_destinations(services: Services, request: Request) -> Answer[EventDestinationList]:
    channel = _channel(services, request)
    page, cursor = endpoints.page(services, request, channel)
    content: EventDestinationList = {"event_destinations": [_shown(destination) for destination in page]}
    if cursor is not None:
        content["next_cursor"] = cursor
    return Answer(content)


def create_event_destination(services: Services, request: Request) -> Answer[CreatedEventDestination]:
    wanted = bodies.validate(NewEventDestination, bodies.parse(request))
    channel = _channel(services, request)
    if wanted.destination_type != "WEBHOOK":
        detail = "Must be WEBHOOK."
        raise invalid([FieldError("/destination_type", detail)], "unknown_destination_type")
    endpoints.check_events(wanted.matching_event_types, _check_type, "/matching_event_types")
    url = endpoints.vetted(services, wanted.webhook_url, "/webhook_url")

    def build(destination_id: str, now_ms: int) -> Endpoint:
        return Endpoint(
            id=destination_id,
            channel=channel,
            workspace=request.workspace,
            kind=EndpointKind.EVENT_DESTINATION,
            format=wanted.format,
            url=url,
            events=tuple(wanted.matching_event_types),
            secret=sealed(
                services, wanted.webhook_secret, workspace=request.workspace, endpoint_id=destination_id
            ),
            created_at=now_ms,
            enabled=wanted.enabled,
            disabled_reason=None if wanted.enabled else DisabledReason.MANUAL,
            disabled_at=None if wanted.enabled else now_ms,
            name=wanted.name,
        )

    destination = endpoints.create(services, request, prefix=DESTINATION, channel=channel, build=build)
    try:
        _channel(services, request)
    except Problem:  # the set was deleted in the meantime, so its destinations must go, too
        services.deleted_endpoints.delete(destination, now_ms=services.clock())
        raise
    shown: CreatedEventDestination = _shown(destination)
    warn_about(wanted.webhook_secret, shown, "/webhook_secret")
    return Answer(shown)


def retrieve_event_destination(services: Services, request: Request) -> Answer[EventDestination]:
    channel = _channel(services, request)
    return Answer(_shown(_find(services, request, channel)))


def update_event_destination(services: Services, request: Request) -> Answer[EventDestinationUpdateResult]:
    change = bodies.validate(EventDestinationChange, bodies.parse(request))
    channel = _channel(services, request)
    before = _find(services, request, channel)  # a missing destination is a 404, whatever the change
    if "matching_event_types" in change.model_fields_set:
        endpoints.check_events(change.matching_event_types, _check_type, "/matching_event_types")
    if "webhook_url" in change.model_fields_set:
        url = endpoints.vetted(services, change.webhook_url, "/webhook_url")
        change = change.model_copy(update={"webhook_url": url})
    missed = endpoints.undelivered(
        services, before, enable="enabled" in change.model_fields_set and change.enabled
    )
    destination = endpoints.update(
        services,
        channel,
        request.path["destinationId"],
        prefix=DESTINATION,
        what=_WHAT,
        change=lambda old: _changed(services, old, change),
    )
    shown = _shown(destination)
    if missed is not None:
        shown["undelivered"] = endpoints.shown_undelivered(missed)
    warn_about(change.webhook_secret, shown, "/webhook_secret")
    return Answer(shown)


def delete_event_destination(services: Services, request: Request) -> Answer[Deleted]:
    channel = _channel(services, request)
    endpoints.delete(services, channel, request.path["destinationId"], prefix=DESTINATION, what=_WHAT)
    return Answer({"deleted": True})


ROUTES: Final = (
    Route("GET", PATH, Scope.PARTNER, list_event_destinations, "List event destinations", query=PAGED),
    Route(
        "POST",
        PATH,
        Scope.PARTNER,
        create_event_destination,
        "Create an event destination",
        NewEventDestination,
        status=201,
    ),
    Route(
        "GET",
        f"{PATH}/{{destinationId}}",
        Scope.PARTNER,
        retrieve_event_destination,
        "Retrieve an event destination",
    ),
    Route(
        "PATCH",
        f"{PATH}/{{destinationId}}",
        Scope.PARTNER,
        update_event_destination,
        "Change an event destination; a new webhook_secret replaces the old one within 24 hours",
        EventDestinationChange,
    ),
    Route(
        "DELETE",
        f"{PATH}/{{destinationId}}",
        Scope.PARTNER,
        delete_event_destination,
        "Delete an event destination",
    ),
)


def _channel(services: Services, request: Request) -> str:
    """Return the channel of the path if it is one of this workspace's configuration sets, or raise the 404."""
    return configuration_sets.find(services, request.workspace, request.path["configSetId"]).id


def _find(services: Services, request: Request, channel: str) -> Endpoint:
    return endpoints.find(services, channel, request.path["destinationId"], prefix=DESTINATION, what=_WHAT)


def _check_type(pattern: str) -> None:
    try:
        check_subscribed(pattern, NAMES)
    except RefusedEventType as refusal:
        detail = f"{refusal.detail} Email event types are {', '.join(one.name for one in EMAIL_TYPES)}."
        raise RefusedEventType(detail, code=refusal.code) from refusal


def _changed(services: Services, old: Endpoint, change: EventDestinationChange) -> Endpoint:
    """Return the destination with the change applied; fields that were not given keep their values."""
    given = change.model_fields_set
    new = replace(
        old,
        name=change.name if "name" in given else old.name,
        events=tuple(change.matching_event_types) if "matching_event_types" in given else old.events,
        format=change.format if "format" in given else old.format,
    )
    now = services.clock()
    if "webhook_url" in given:
        new = endpoints.moved(new, url=change.webhook_url, now_ms=now)
    if "enabled" in given:
        new = endpoints.switched(new, on=change.enabled, now_ms=now)
    if "webhook_secret" in given:
        new = rotated(services, new, change.webhook_secret, until_ms=now + DEFAULT_OVERLAP_MS)
    return new


def _shown(destination: Endpoint) -> EventDestinationUpdateResult:
    shown: EventDestinationUpdateResult = {
        "destination_id": destination.id,
        "name": destination.name,
        "destination_type": "WEBHOOK",
        "webhook_url": destination.url,
        "matching_event_types": list(destination.events),
        "format": destination.format,
        "enabled": destination.enabled,
        "created_at": rfc3339(destination.created_at),
    }
    if destination.disabled_reason is not None and destination.disabled_at is not None:
        shown |= {
            "disabled_reason": destination.disabled_reason,
            "disabled_at": rfc3339(destination.disabled_at),
        }
    if destination.health is not Health.HEALTHY and destination.health_since is not None:
        shown |= {"health": destination.health, "health_since": rfc3339(destination.health_since)}
    return shown
