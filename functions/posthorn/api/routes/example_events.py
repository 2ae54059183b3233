"""`…/test`: sends an example event to one endpoint, through the same pipeline as all events."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Annotated, Any, Final

from pydantic import Field, StringConstraints

from posthorn.api import bodies, idempotency
from posthorn.api.event_type_registry import HOW_TO_ADD
from posthorn.api.http import Answer, Request
from posthorn.api.limits import limits_of, too_fast
from posthorn.api.problems import FieldError, Problem, invalid
from posthorn.api.rates import rate_of_test_sends
from posthorn.api.route import Route
from posthorn.api.routes import endpoints, events
from posthorn.api.routes.endpoint_kinds import ENDPOINT_RESOURCES
from posthorn.domain.clock import rfc3339
from posthorn.domain.endpoint_kind import EndpointKind
from posthorn.domain.errors import RefusedEventType
from posthorn.domain.ids import EVENT
from posthorn.domain.matching import MAX_TYPE_LENGTH, canonical, first_type
from posthorn.domain.models import Event
from posthorn.email.examples import example_event, examples
from posthorn.wire.ecmascript import stringify

if TYPE_CHECKING:
    from posthorn.api.answers.events import PublishResult
    from posthorn.api.routes.endpoint_kinds import EndpointResource
    from posthorn.api.services import Services
    from posthorn.domain.event_types import EventType
    from posthorn.domain.models import Endpoint


class SendExample(bodies.Body):
    """The event to send; by default the first type that the endpoint subscribes to, with its example data."""

    event: Annotated[str, StringConstraints(min_length=1, max_length=MAX_TYPE_LENGTH)] | None = Field(
        default=None, description="The event type. By default, the first one that the endpoint subscribes to."
    )
    data: dict[str, Any] | None = Field(
        default=None, description="The data. By default, the example of the type. Not for event destinations."
    )


def send_test_event(
    resource: EndpointResource, services: Services, request: Request
) -> Answer[PublishResult]:
    """Accept an event for one endpoint only, whatever types it subscribes to."""
    wanted = bodies.validate(SendExample, bodies.parse_optional(request))
    endpoint = resource.find(services, request)
    make = _MAKERS[endpoint.kind]
    drafted = make(services, endpoint, wanted)
    _check_rate(services, endpoint.workspace)
    decision = idempotency.decide(services, request, [services.new_id(EVENT)])
    event = replace(
        drafted,
        id=decision.ids[0],
        created_at=rfc3339(decision.decided_at),
        target=endpoint.id,
    )
    # the endpoint's subscriptions may have changed since the first request
    stored = None if decision.is_new else services.events.get(endpoint.channel, event.id)
    if not decision.is_done:
        if not endpoint.enabled:
            raise endpoints.disabled(resource.what)
        services.events.accept([event], now_ms=decision.decided_at)
        idempotency.finish(services, request, decision)
    return Answer({"event": events.accepted((stored or event).summary)})


ROUTES: Final = tuple(
    Route(
        "POST",
        f"{resource.path}/test",
        resource.scope,
        resource.bind(send_test_event),
        f"Send a test event to this {resource.what}",
        SendExample,
        is_body_optional=True,
        status=202,
        is_rate_limited=True,
        needs_active_workspace=True,
    )
    for resource in ENDPOINT_RESOURCES
)


def _check_rate(services: Services, workspace: str) -> None:
    limit = limits_of(services, workspace).test_sends_per_minute
    if limit and (waits := services.rates.take({workspace: (rate_of_test_sends(limit), 1)})):
        raise too_fast("testSendsPerMinute", limit, retry_after=waits[workspace])


def _webhook_event(services: Services, endpoint: Endpoint, wanted: SendExample) -> Event:
    name = wanted.event or services.event_types.first_subscribed(endpoint.workspace, endpoint.events)
    event_type = None if name is None else _find(services, endpoint.workspace, name)
    if name is None or event_type is None:
        raise _unknown(name, HOW_TO_ADD)
    if wanted.data is None:
        data = stringify(event_type.example)
    else:
        data = events.checked_data(services, event_type, wanted.data, "/data")
    return Event(
        id="",
        channel=endpoint.channel,
        workspace=endpoint.workspace,
        type=name,
        data=data,
        created_at="",
    )


def _email_event(services: Services, endpoint: Endpoint, wanted: SendExample) -> Event:  # noqa: ARG001 - as the one above
    """Draft the event of an example email. Its data is always SES's example: callers cannot make up SES events."""
    if wanted.data is not None:
        detail = "Must be absent: a test of an event destination sends the example data of its event type."
        raise invalid([FieldError("/data", detail)], "data_not_allowed")
    known = {canonical(name): name for name in examples()}
    name = wanted.event or first_type(endpoint.events, known)
    try:
        found = None if name is None else known.get(canonical(name))
    except RefusedEventType as refusal:
        raise invalid([FieldError("/event", refusal.detail)], refusal.code) from refusal
    if found is None:
        raise _unknown(name, f"Must be one of {', '.join(examples())}.")
    return example_event(found, channel=endpoint.channel, workspace=endpoint.workspace)


_MAKERS: Final = {EndpointKind.WEBHOOK: _webhook_event, EndpointKind.EVENT_DESTINATION: _email_event}


def _find(services: Services, workspace: str, name: str) -> EventType | None:
    try:
        return services.event_types.find(workspace, name)
    except RefusedEventType as refusal:
        raise invalid([FieldError("/event", refusal.detail)], refusal.code) from refusal


def _unknown(name: str | None, advice: str) -> Problem:
    if name is None:
        detail = "`event` must name an event type, because the endpoint's subscriptions match no known one."
        return Problem(409, "no_known_type", detail)
    return invalid([FieldError("/event", f"Unknown event type {name}. {advice}")], "unknown_event_type")
