"""`…/deliveries/{eventId}/replay`: one delivery again, though it is settled."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from posthorn.ids import REPLAY
from posthorn.models import Status
from posthorn.routes import bodies, deliveries, entries, idempotent
from posthorn.routes.faces import FACES
from posthorn.routes.problems import Problem
from posthorn.routes.route import Answer, Request, Route

if TYPE_CHECKING:
    from posthorn.models import Delivery, Endpoint
    from posthorn.routes.faces import Face
    from posthorn.routes.office import Office


class NoFields(bodies.Body):
    """A body that has nothing to say."""


def replay_delivery(face: Face, office: Office, request: Request) -> Answer:
    """Begin a new generation of a delivery: the row first, then the message, as ever.

    The id that the request decided on names the generation, so a repetition finds that it has begun.
    """
    bodies.validate(NoFields, bodies.parse_optional(request))
    endpoint = face.find(office, request)
    row = deliveries.find(office, request, endpoint)
    decision = idempotent.decide(office, request, [office.new_id(REPLAY)])
    if not decision.is_done:
        name = decision.ids[0]
        if row.replay != name:
            row = _restarted(face, office, endpoint, row, name)
        if row.status is Status.QUEUED and row.attempt == 0:
            office.queues.enqueue_next(row, now_ms=office.clock())
        idempotent.finish(office, request, decision)
    return Answer({"delivery": entries.delivery(face, row)}, 202)


ROUTES: Final = tuple(
    Route(
        "POST",
        f"{face.path}/deliveries/{{eventId}}/replay",
        face.scope,
        face.bind(replay_delivery),
        "Send a delivery again; if it fails, it is retried as if it were new",
    )
    for face in FACES
)


def _restarted(face: Face, office: Office, endpoint: Endpoint, row: Delivery, name: str) -> Delivery:
    if row.status.is_open:
        raise _still_open()
    if not endpoint.enabled:
        raise disabled(face)
    if office.events.get(endpoint.channel, row.key.event_id) is None:
        raise Problem(
            409, "event_expired", "The event has outlived its retention, so there is nothing to send."
        )
    restarted = office.deliveries.restart(row, replay=name, now_ms=office.clock())
    if restarted is None:  # somebody else has begun a replay since the row was read
        raise _still_open()
    return restarted


def disabled(face: Face) -> Problem:
    return Problem(409, "endpoint_disabled", f"This {face.what} is disabled. Enable it first.")


def _still_open() -> Problem:
    return Problem(409, "delivery_open", "This delivery is not over: its next attempt comes by itself.")
