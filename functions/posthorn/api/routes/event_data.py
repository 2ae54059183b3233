"""`/v1/events/{eventId}/data`: expunges the payload of one event."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from posthorn.api.http import Answer, Request
from posthorn.api.problems import not_found
from posthorn.api.route import Route
from posthorn.api.routes.events import accepted
from posthorn.domain.api_key import Scope
from posthorn.domain.clock import rfc3339
from posthorn.domain.ids import EVENT, is_id

if TYPE_CHECKING:
    from posthorn.api.answers.events import ExpungedEventResult
    from posthorn.api.services import Services
    from posthorn.domain.expunged_event import ExpungedEvent

_SETS: Final = 100
"""Configuration sets looked at together: one BatchGetItem."""


def expunge_event_data(services: Services, request: Request) -> Answer[ExpungedEventResult]:
    """Remove the payload of an event of the workspace, or of an email; the event and its deliveries stay."""
    event_id = request.path["eventId"]
    expunged = _expunge(services, request.workspace, event_id) if is_id(event_id, EVENT) else None
    if expunged is None:
        raise not_found("event")
    return Answer(
        {
            "event": {
                **accepted(expunged.summary),
                "isTest": expunged.target is not None,
                "expungedAt": rfc3339(expunged.expunged_at),
            }
        }
    )


ROUTES: Final = (
    Route(
        "DELETE",
        "/v1/events/{eventId}/data",
        Scope.ADMIN,
        expunge_event_data,
        "Expunge the data of an event; the event and its deliveries stay",
        note=(
            "The event can be one that was published, or one of an email. Its deliveries cannot be replayed or retried"
            " anymore (409 `payload_expunged`); one that still has an attempt due ends as `failed` with the reason"
            " `payload_expunged`. Two things can still be sent: an attempt that is in progress, and the first attempts"
            " of an event that was accepted moments ago. Up to 1 KB of each receiver's response stays in the log."
            " DynamoDB keeps what was deleted in its stream for 24 hours and in its backups for 35 days."
            " Expunging an event again changes nothing."
        ),
    ),
)


def _expunge(services: Services, workspace: str, event_id: str) -> ExpungedEvent | None:
    now = services.clock()
    if (expunged := services.events.expunge(workspace, event_id, now_ms=now)) is not None:
        return expunged
    after: str | None = None
    while True:  # the events of emails are on the channels of configuration sets
        sets, after = services.configuration_sets.page(workspace, after=after, limit=_SETS)
        found = services.events.get_many((one.id, event_id) for one in sets).get(event_id)
        if found is not None:
            return services.events.expunge(found.channel, event_id, now_ms=now)
        if after is None:
            return None
