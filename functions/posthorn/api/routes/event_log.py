"""`/v1/events`: published events and their deliveries."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from posthorn.api.http import Answer, Request
from posthorn.api.problems import not_found
from posthorn.api.route import PAGED, Route
from posthorn.api.routes import event_views
from posthorn.api.routes.deliveries import event_filter, time_filter
from posthorn.api.routes.events import accepted
from posthorn.api.routes.match_explanations import DeliveryRecord, explain
from posthorn.aws.clients import threads
from posthorn.domain.api_key import Scope
from posthorn.domain.clock import rfc3339
from posthorn.domain.expunged_event import ExpungedEvent
from posthorn.domain.ids import EVENT, is_id, made_at
from posthorn.domain.matching import matches
from posthorn.domain.models import DeliveryKey, Endpoint
from posthorn.stores.event_log import Window

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from posthorn.api.answers import events as answers
    from posthorn.api.answers.events import EventList, EventResult, MatchResult
    from posthorn.api.services import Services
    from posthorn.domain.models import Event, EventSummary
    from posthorn.stores.deleted_endpoints import DeletedEndpoint

LOOKUPS: Final = 1000
"""Deliveries read for one page: ten concurrent reads of a hundred."""

_CLOCKS_APART_MS: Final = 60_000
"""How far the clocks of two functions may differ."""


@dataclass(frozen=True, slots=True)
class _Recipients:
    """The endpoints of a channel that may have received its events, deleted ones included."""

    endpoints: Sequence[Endpoint]
    unreadable: Sequence[str]  # ids of endpoints that this version cannot read
    deleted_endpoints: list[DeletedEndpoint]

    def of(self, event: EventSummary) -> list[Endpoint | DeletedEndpoint]:
        """Return the endpoints that may have a delivery of an event, whatever they subscribe to now."""
        present = [
            one
            for one in self.endpoints
            # An endpoint at its first revision has never changed its subscriptions.
            if event.target == one.id
            or (event.target is None and (one.revision > 1 or matches(one.events, event.type)))
        ]
        gone = [
            one
            for one in self.deleted_endpoints
            if event.target in {None, one.id} and one.deleted_at + _CLOCKS_APART_MS >= made_at(event.id)
        ]
        return [*present, *gone]


def list_events(services: Services, request: Request) -> Answer[EventList]:
    """Return a page of events; it may be short or empty even if a cursor says there is more."""
    read = partial(_page, services, request.workspace, _window(request))
    summaries, cursor = services.cursors.page(request, read)
    content: EventList = {"events": summaries}
    if cursor is not None:
        content["nextCursor"] = cursor
    return Answer(content)


def retrieve_event(services: Services, request: Request) -> Answer[EventResult]:
    event, recipients = _find(services, request)
    summary = event.summary
    wanted = recipients.of(summary)
    found = services.deliveries.get_every([DeliveryKey(one.id, event.id) for one in wanted])
    records = [(one, _record(found, one, summary)) for one in wanted]
    shown: answers.Event = {
        "id": summary.id,
        "event": summary.type,
        "created_at": summary.created_at,
        "isTest": summary.target is not None,
        "matched": _matched(summary, records),
        "data": None if isinstance(event, ExpungedEvent) else json.loads(event.data),
        "deliveries": [
            event_views.delivery_detail(one, record) for one, record in records if record is not None
        ],
    }
    if isinstance(event, ExpungedEvent):
        shown["expungedAt"] = rfc3339(event.expunged_at)
    return Answer({"event": shown})


def explain_event_match(services: Services, request: Request) -> Answer[MatchResult]:
    """Explain for each endpoint of the channel why it received an event, or why not."""
    event, recipients = _find(services, request)
    summary = event.summary
    everybody: list[Endpoint | DeletedEndpoint] = [*recipients.endpoints, *recipients.deleted_endpoints]
    found = services.deliveries.get_every([DeliveryKey(one.id, event.id) for one in recipients.of(summary)])
    judged = [(one, _record(found, one, summary)) for one in everybody]
    shown = [event_views.match(one, record, explain(summary, one, record)) for one, record in judged]
    shown += [event_views.hidden_match(one) for one in recipients.unreadable]
    return Answer(
        {
            "event": {**accepted(summary), "isTest": summary.target is not None},
            "matched": any(one["matched"] for one in shown),
            "webhooks": shown,
        }
    )


ROUTES: Final = (
    Route(
        "GET",
        "/v1/events",
        Scope.USER,
        list_events,
        "List events with their deliveries, newest first",
        query=(*PAGED, "event", "since", "until"),
    ),
    Route("GET", "/v1/events/{eventId}", Scope.USER, retrieve_event, "Retrieve an event and its deliveries"),
    Route(
        "GET",
        "/v1/events/{eventId}/match",
        Scope.USER,
        explain_event_match,
        "Explain for each webhook why it received an event, or why not",
    ),
)


def _find(services: Services, request: Request) -> tuple[Event | ExpungedEvent, _Recipients]:
    event_id = request.path["eventId"]
    event = services.events.get(request.workspace, event_id) if is_id(event_id, EVENT) else None
    if event is None:
        raise not_found("event")
    reading = threads().submit(services.deleted_endpoints.of_channel, request.workspace)
    endpoints = services.endpoints.of_channel(request.workspace)
    return event, _Recipients(endpoints.endpoints, endpoints.unreadable, reading.result())


def _page(
    services: Services, workspace: str, window: Window, *, after: str | None, limit: int
) -> tuple[list[answers.EventInList], str | None]:
    """Return a page of summaries; it ends early where it would need more lookups than `LOOKUPS`."""
    reading = threads().submit(services.deleted_endpoints.of_channel, workspace)
    endpoints = threads().submit(services.endpoints.of_channel, workspace)
    page, last = services.event_log.page(workspace, window, after=after, limit=limit)
    there = endpoints.result()
    recipients = _Recipients(there.endpoints, there.unreadable, reading.result())
    shown: list[EventSummary] = []
    keys: list[DeliveryKey] = []
    for event in page:
        wanted = [DeliveryKey(one.id, event.id) for one in recipients.of(event)]
        if shown and len(keys) + len(wanted) > LOOKUPS:
            last = shown[-1].id
            break
        shown.append(event)
        keys += wanted
    found = services.deliveries.get_every(keys)
    return [_summary(event, recipients, found) for event in shown], last


def _window(request: Request) -> Window:
    event_type = request.query.get("event")
    window = Window()
    return Window(
        since=time_filter(request, "since", window.since),
        until=time_filter(request, "until", window.until),
        event_type=None if event_type is None else event_filter(event_type),
    )


def _record(
    found: Mapping[DeliveryKey, Any], one: Endpoint | DeletedEndpoint, event: EventSummary
) -> DeliveryRecord | None:
    key = DeliveryKey(one.id, event.id)
    return DeliveryRecord(found[key]) if key in found else None


def _matched(
    event: EventSummary, records: Iterable[tuple[Endpoint | DeletedEndpoint, DeliveryRecord | None]]
) -> bool:
    return any(explain(event, one, record).matched for one, record in records)


def _summary(
    event: EventSummary, recipients: _Recipients, found: Mapping[DeliveryKey, Any]
) -> answers.EventInList:
    records = [(one, _record(found, one, event)) for one in recipients.of(event)]
    return {
        **accepted(event),
        "isTest": event.target is not None,
        "matched": _matched(event, records),
        "deliveries": [event_views.delivery(one, record) for one, record in records if record is not None],
    }
