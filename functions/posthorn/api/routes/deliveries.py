"""`…/deliveries`: an endpoint's delivery log, and single deliveries with all attempts and requests as sent."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Final

from posthorn.api import timestamps
from posthorn.api.http import Answer, Request
from posthorn.api.problems import FieldError, Problem, not_found
from posthorn.api.route import PAGED, Route
from posthorn.api.routes import delivery_views, sent_requests
from posthorn.api.routes.endpoint_kinds import ENDPOINT_RESOURCES
from posthorn.domain.errors import Malformed, RefusedEventType
from posthorn.domain.expunged_event import ExpungedEvent
from posthorn.domain.ids import EVENT, is_id
from posthorn.domain.matching import canonical
from posthorn.domain.models import DeliveryKey, Status
from posthorn.stores.delivery_log import DeliveryFilter
from posthorn.wire.envelope import Envelope
from posthorn.wire.formats import body_of

if TYPE_CHECKING:
    from posthorn.api.answers.deliveries import DeliveryDetail, DeliveryDetailResult, DeliveryList
    from posthorn.api.routes.endpoint_kinds import EndpointResource
    from posthorn.api.services import Services
    from posthorn.domain.models import Delivery, Endpoint, Event

UNDELIVERED: Final = "undelivered"
"""The filter for deliveries that failed or are still open."""

FILTERS: Final = {
    **{str(status): frozenset({status}) for status in Status},
    UNDELIVERED: frozenset(Status) - {Status.DELIVERED},
}
EVENT_EXPIRED: Final = "The event has expired, so its request cannot be shown."
PAYLOAD_EXPUNGED: Final = "The event's payload was expunged, so its request cannot be shown."


def list_deliveries(resource: EndpointResource, services: Services, request: Request) -> Answer[DeliveryList]:
    """Return a page of the log; with a filter it may be short or empty even if a cursor says there is more."""
    endpoint = resource.find(services, request)
    page, cursor = services.cursors.page(
        request, partial(services.delivery_log.page, endpoint.id, _wanted(request))
    )
    content: DeliveryList = {"deliveries": [delivery_views.entry(resource, one) for one in page]}
    if cursor is not None:
        content["next_cursor"] = cursor
    return Answer(resource.write(content))


def retrieve_delivery(
    resource: EndpointResource, services: Services, request: Request
) -> Answer[DeliveryDetailResult]:
    endpoint = resource.find(services, request)
    row = find(services, request, endpoint)
    event = services.events.get(endpoint.channel, row.key.event_id)
    return Answer({"delivery": _whole(resource, services, endpoint, row, event)})


def find(services: Services, request: Request, endpoint: Endpoint) -> Delivery:
    """Return the delivery of the path, or raise the 404."""
    event_id = request.path["eventId"]
    if not is_id(event_id, EVENT):
        raise not_found("delivery")
    key = DeliveryKey(endpoint.id, event_id)
    found = services.deliveries.get_every([key])
    if key not in found:
        raise not_found("delivery")
    row = found[key]
    if row is None:
        raise Malformed("the delivery's row is not in a known form")
    return row


ROUTES: Final = tuple(
    route
    for resource in ENDPOINT_RESOURCES
    for route in (
        Route(
            "GET",
            f"{resource.path}/deliveries",
            resource.scope,
            resource.bind(list_deliveries),
            f"List the deliveries of this {resource.what}, newest first",
            query=(*PAGED, "status", "event", "since", "until"),
        ),
        Route(
            "GET",
            f"{resource.path}/deliveries/{{eventId}}",
            resource.scope,
            resource.bind(retrieve_delivery),
            "Retrieve a delivery with every attempt and the request as sent",
        ),
    )
)


def _wanted(request: Request) -> DeliveryFilter:
    status, event_type = request.query.get("status"), request.query.get("event")
    if status is not None and status not in FILTERS:
        raise invalid_filter("status", f"`status` must be one of {', '.join(FILTERS)}.")
    statuses = frozenset(Status) if status is None else FILTERS[status]
    everything = DeliveryFilter()
    return DeliveryFilter(
        statuses,
        None if event_type is None else event_filter(event_type),
        since=time_filter(request, "since", everything.since),
        until=time_filter(request, "until", everything.until),
    )


def event_filter(text: str) -> str:
    """Return the canonical name of a type to filter by; it may be unknown, since events outlive their types."""
    try:
        return canonical(text)
    except RefusedEventType as refusal:
        raise invalid_filter("event", refusal.detail) from refusal


def time_filter(request: Request, name: str, default: int) -> int:
    """Return a time to filter by in Unix milliseconds."""
    text = request.query.get(name)
    if text is None:
        return default
    if (timestamp := timestamps.parse(text)) is None:
        raise invalid_filter(name, timestamps.COMPLAINT)
    return timestamps.milliseconds(timestamp)


def payload_expunged() -> Problem:
    detail = "The event's payload was expunged, so its deliveries can no longer be sent."
    return Problem(409, "payload_expunged", detail)


def invalid_filter(name: str, detail: str) -> Problem:
    return Problem(400, "invalid_filter", detail, errors=[FieldError(f"/{name}", detail)])


def _whole(
    resource: EndpointResource,
    services: Services,
    endpoint: Endpoint,
    row: Delivery,
    event: Event | ExpungedEvent | None,
) -> DeliveryDetail:
    """Show a delivery in full. The body is that of the last attempt."""
    if event is None or isinstance(event, ExpungedEvent):
        made = [delivery_views.whole_attempt(resource, attempt, None) for attempt in row.attempts]
        note = EVENT_EXPIRED if event is None else PAYLOAD_EXPUNGED
        return delivery_views.whole_delivery(
            resource, row, attempts=made, request_body=None, curl=None, notes=[note]
        )
    last = row.attempts[-1] if row.attempts else None
    payload_format = sent_requests.format_of(endpoint, last)
    body = body_of(payload_format, event)
    made = []
    for attempt in row.attempts:
        secrets = services.unsealer.secrets_by(endpoint, attempt.signed_by)
        sent = sent_requests.rebuild(
            endpoint, event, attempt, shown=payload_format, secrets=secrets, brand=services.brand
        )
        made.append(delivery_views.whole_attempt(resource, attempt, sent))
    by_hand = Envelope(
        event=event,
        body=body,
        secrets=(),
        sent_at=last.started_at if last else services.clock(),
        endpoint_id=endpoint.id,
        generation=last.generation if last else row.generation,
        attempt=last.number if last else 1,
    )
    headers = sent_requests.unsigned(endpoint, payload_format, by_hand, services.brand)
    curl = sent_requests.curl_line(endpoint.url, headers, body.decode())
    return delivery_views.whole_delivery(
        resource, row, attempts=made, request_body=body.decode(), curl=curl, notes=[]
    )
