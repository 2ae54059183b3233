"""`…/deliveries/{eventId}/retry-now`: makes the due attempt of one open delivery at once."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from posthorn.api import bodies, idempotency
from posthorn.api.http import Answer, Request
from posthorn.api.problems import Problem
from posthorn.api.route import Route
from posthorn.api.routes import deliveries, delivery_views, endpoints
from posthorn.api.routes.delivery_replay import NoFields
from posthorn.api.routes.endpoint_kinds import ENDPOINT_RESOURCES, EndpointResource
from posthorn.domain.expunged_event import ExpungedEvent
from posthorn.stores.overdue_deliveries import OverdueDelivery

if TYPE_CHECKING:
    from posthorn.api.answers.deliveries import DeliveryResult
    from posthorn.api.services import Services
    from posthorn.domain.models import Delivery, Endpoint

_TRIES: Final = 3  # each of them lost to another writer of the row


def retry_delivery_now(
    resource: EndpointResource, services: Services, request: Request
) -> Answer[DeliveryResult]:
    """Move the next attempt of a delivery to now: write the row first, then send the message.

    The request's decided id names that attempt, so a repetition never asks for the one after it. The message that
    waits for the earlier due time stays: it finds the attempt made.
    """
    bodies.validate(NoFields, bodies.parse_optional(request))
    endpoint = resource.find(services, request)
    row = deliveries.find(services, request, endpoint)
    decision = idempotency.decide(services, request, [_next_attempt(row)])
    if not decision.is_done:
        if _next_attempt(row) == decision.ids[0]:  # or it was made after an earlier request with this key
            try:
                row = _moved(resource, services, request, endpoint, row)
            except Problem:
                idempotency.forget(services, request)  # nothing was moved
                raise
            if _next_attempt(row) == decision.ids[0]:
                services.queues.enqueue_next(row, now_ms=services.clock())
        idempotency.finish(services, request, decision)
    return Answer({"delivery": delivery_views.delivery(resource, row)})


ROUTES: Final = tuple(
    Route(
        "POST",
        f"{resource.path}/deliveries/{{eventId}}/retry-now",
        resource.scope,
        resource.bind(retry_delivery_now),
        "Make the next attempt of a delivery now instead of at its due time",
        status=202,
        note="The attempt counts as usual: if it fails, the next one is due after the usual delay.",
    )
    for resource in ENDPOINT_RESOURCES
)


def _next_attempt(row: Delivery) -> str:
    return f"{row.generation}.{row.attempt + 1}"


def _moved(
    resource: EndpointResource, services: Services, request: Request, endpoint: Endpoint, row: Delivery
) -> Delivery:
    """Return the row, due now; or as another worker has advanced it since it was read."""
    wanted = _next_attempt(row)
    for _ in range(_TRIES):
        if not row.status.is_open:
            raise Problem(
                409,
                "delivery_settled",
                "The delivery has settled, so no attempt is due."
                " To send it again, POST to `replay` beside `retry-now`.",
            )
        if not endpoint.enabled:
            raise endpoints.disabled(resource.what)
        if isinstance(services.events.get(endpoint.channel, row.key.event_id), ExpungedEvent):
            raise deliveries.payload_expunged()
        due = OverdueDelivery(row.key, row.next_attempt_at or 0)
        if (moved := services.overdue_deliveries.move(due, now_ms=services.clock())) is not None:
            return moved
        found = deliveries.find(services, request, endpoint)
        if _next_attempt(found) != wanted:
            return found
        if found == row:  # unchanged, so a worker holds its lease
            break
        row = found
    raise Problem(
        409, "attempt_in_progress", "An attempt is in progress. Read the delivery to see how it ends."
    )
