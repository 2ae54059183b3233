"""`…/deliveries/{eventId}/replay`: sends one settled delivery again."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from posthorn.api import bodies, idempotency
from posthorn.api.http import Answer, Request
from posthorn.api.problems import Problem
from posthorn.api.route import Route
from posthorn.api.routes import deliveries, delivery_views, endpoints
from posthorn.api.routes.endpoint_kinds import ENDPOINT_RESOURCES, EndpointResource
from posthorn.domain.expunged_event import ExpungedEvent
from posthorn.domain.ids import REPLAY
from posthorn.domain.models import Status

if TYPE_CHECKING:
    from posthorn.api.answers.deliveries import DeliveryResult
    from posthorn.api.services import Services
    from posthorn.domain.models import Delivery, Endpoint


class NoFields(bodies.Body):
    """An empty body."""


def replay_delivery(
    resource: EndpointResource, services: Services, request: Request
) -> Answer[DeliveryResult]:
    """Start a new generation of a delivery: write the row first, then send the message.

    The request's decided id names the generation, so a repetition finds that it has already started.
    """
    bodies.validate(NoFields, bodies.parse_optional(request))
    endpoint = resource.find(services, request)
    row = deliveries.find(services, request, endpoint)
    decision = idempotency.decide(services, request, [services.new_id(REPLAY)])
    if not decision.is_done:
        name = decision.ids[0]
        if row.replay != name:
            row = _restarted(resource, services, endpoint, row, name)
        if row.status is Status.QUEUED and row.attempt == 0:
            services.queues.enqueue_next(row, now_ms=services.clock())
        idempotency.finish(services, request, decision)
    return Answer({"delivery": delivery_views.delivery(resource, row)})


ROUTES: Final = tuple(
    Route(
        "POST",
        f"{resource.path}/deliveries/{{eventId}}/replay",
        resource.scope,
        resource.bind(replay_delivery),
        "Send a delivery again; if it fails, it is retried like a new one",
        status=202,
    )
    for resource in ENDPOINT_RESOURCES
)


def _restarted(
    resource: EndpointResource, services: Services, endpoint: Endpoint, row: Delivery, name: str
) -> Delivery:
    if row.status.is_open:
        raise _still_open()
    if not endpoint.enabled:
        raise endpoints.disabled(resource.what)
    event = services.events.get(endpoint.channel, row.key.event_id)
    if event is None:
        raise Problem(
            409, "event_expired", "The event has expired, so its delivery can no longer be replayed."
        )
    if isinstance(event, ExpungedEvent):
        raise deliveries.payload_expunged()
    restarted = services.deliveries.restart(row, replay=name, now_ms=services.clock())
    if restarted is None:  # another request has started a replay since the row was read
        raise _still_open()
    return restarted


def _still_open() -> Problem:
    return Problem(
        409,
        "delivery_open",
        "The delivery must settle before it can be replayed; its next attempt is pending."
        " To make that attempt now, POST to `retry-now` beside `replay`.",
    )
