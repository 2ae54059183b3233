"""`…/replays`: bulk replays of an endpoint's deliveries, as jobs."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Annotated, Final

from pydantic import Field

from posthorn import telemetry
from posthorn.api import bodies, idempotency, timestamps
from posthorn.api.http import Answer, Request
from posthorn.api.limits import limits_of
from posthorn.api.problems import FieldError, Problem, invalid, not_found
from posthorn.api.route import PAGED, Route
from posthorn.api.routes import replay_views
from posthorn.api.routes.endpoint_kinds import ENDPOINT_RESOURCES, WEBHOOKS, EndpointResource
from posthorn.api.timestamps import Timestamp
from posthorn.delivery.bulk_replay import wake
from posthorn.domain.compare_and_set import compare_and_set
from posthorn.domain.errors import LimitReached, Unavailable
from posthorn.domain.ids import EVENT, REPLAY, is_id, lower_bound
from posthorn.domain.replay_job import JobState, ReplayJob, ReplaySelection

if TYPE_CHECKING:
    from collections.abc import Iterator

    from posthorn.api.answers.replays import ReplayList, ReplayResult
    from posthorn.api.services import Services
    from posthorn.domain.models import Endpoint

type WantedStatus = Annotated[ReplaySelection, Field(strict=False, description="Which deliveries to replay.")]
DryRun = Annotated[bool, Field(description="Whether only to count.")]


class NewEventDestinationReplay(bodies.Body):
    """Which deliveries of an event destination to send again: those of events from `since` to before `until`."""

    since: Timestamp = Field(description="Replay deliveries of events accepted at this time or later.")
    until: Timestamp | None = Field(
        default=None, description="Replay deliveries of events accepted before this time. By default, now."
    )
    status: WantedStatus = ReplaySelection.FAILED
    dry_run: DryRun = False


class NewReplay(NewEventDestinationReplay):
    """Which deliveries of a webhook to send again: those of events from `since` to before `until`."""

    dry_run: DryRun = Field(default=False, alias="dryRun")


def create_replay(resource: EndpointResource, services: Services, request: Request) -> Answer[ReplayResult]:
    """Accept a job; ReplayFunction runs it page by page."""
    endpoint = resource.find(services, request)
    wanted = bodies.validate(
        NewReplay if resource.camel else NewEventDestinationReplay, bodies.parse(request)
    )
    decision = idempotency.decide(services, request, [services.new_id(REPLAY)])
    job = None if decision.is_new else services.replays.get(endpoint.id, decision.ids[0])
    if job is None:
        if decision.is_done:
            detail = "The replay created with this Idempotency-Key has expired."
            raise Problem(409, "idempotency_key_reused", detail)
        try:
            job = _planned(endpoint, wanted, decision.ids[0], decision.decided_at)
            is_new = services.replays.create(job, request.workspace, limits_of(services, request.workspace))
        except (Problem, LimitReached):
            idempotency.forget(services, request)
            raise
        if not is_new:  # a concurrent repetition of this request was faster
            job = _find(services, endpoint, job.id)
    if not decision.is_done:
        if job.step == 1:  # each step sends the message of the next
            _start(services, job, can_be_repeated=decision.is_kept)
        idempotency.finish(services, request, decision)
    return Answer({"replay": replay_views.replay(resource, job)})


def list_replays(resource: EndpointResource, services: Services, request: Request) -> Answer[ReplayList]:
    endpoint = resource.find(services, request)
    jobs, cursor = services.cursors.page(request, partial(services.replays.page, endpoint.id))
    for job in jobs:
        _keep_alive(services, job)
    content: ReplayList = {"replays": [replay_views.replay(resource, job) for job in jobs]}
    if cursor is not None:
        content["next_cursor"] = cursor
    return Answer(resource.write(content))


def retrieve_replay(resource: EndpointResource, services: Services, request: Request) -> Answer[ReplayResult]:
    job = _find(services, resource.find(services, request), request.path["replayId"])
    _keep_alive(services, job)
    return Answer({"replay": replay_views.replay(resource, job)})


def cancel_replay(resource: EndpointResource, services: Services, request: Request) -> Answer[ReplayResult]:
    """Cancel a job, unless it is already cancelled; deliveries that it has restarted continue and are still counted."""
    idempotency.check(request)  # cancelling twice changes nothing, so the key decides nothing
    endpoint = resource.find(services, request)

    def attempt() -> ReplayJob | None:
        job = _find(services, endpoint, request.path["replayId"])
        if job.state is JobState.CANCELLED:
            return job
        if not job.state.is_live:
            raise Problem(409, "replay_finished", "The replay has already finished and cannot be cancelled.")
        now = services.clock()
        cancelled = replace(
            job, state=JobState.CANCELLED, updated_at=now, finished_at=now, revision=job.revision + 1
        )
        return cancelled if services.replays.replace(job, cancelled) else None

    detail = "The replay is changing too fast. Retry the request."
    job = compare_and_set(attempt, contended=Problem(409, "concurrent_changes", detail))
    return Answer({"replay": replay_views.replay(resource, job)})


def _routes(resource: EndpointResource) -> Iterator[Route]:
    body = NewReplay if resource is WEBHOOKS else NewEventDestinationReplay
    path = f"{resource.path}/replays"
    what = f"{'an' if resource.what[0] in 'aeiou' else 'a'} {resource.what}"
    yield Route(
        "GET",
        path,
        resource.scope,
        resource.bind(list_replays),
        f"List the bulk replays of {what}",
        query=PAGED,
    )
    create, one = resource.bind(create_replay), f"{path}/{{replayId}}"
    summary = f"Send past deliveries of {what} again, as a job"
    yield Route("POST", path, resource.scope, create, summary, body, status=202)
    yield Route(
        "GET", one, resource.scope, resource.bind(retrieve_replay), f"Retrieve a bulk replay of {what}"
    )
    cancel = resource.bind(cancel_replay)
    yield Route("POST", f"{one}/cancel", resource.scope, cancel, f"Cancel a bulk replay of {what}")


ROUTES: Final = tuple(route for resource in ENDPOINT_RESOURCES for route in _routes(resource))


def _planned(endpoint: Endpoint, wanted: NewEventDestinationReplay, replay_id: str, now_ms: int) -> ReplayJob:
    since = timestamps.read_ms(wanted.since, "/since")
    until = min(now_ms, now_ms if wanted.until is None else timestamps.read_ms(wanted.until, "/until"))
    if until <= since:
        at = "/since" if wanted.until is None else "/until"
        detail = "`until` must be later than `since`, and `since` must be in the past."
        raise invalid([FieldError(at, detail)])
    if not (endpoint.enabled or wanted.dry_run):
        raise Problem(
            409, "endpoint_disabled", "The endpoint must be enabled first, unless the replay is a dry run."
        )
    return ReplayJob(
        id=replay_id,
        endpoint_id=endpoint.id,
        channel=endpoint.channel,
        since=since,
        until=until,
        wanted=wanted.status,
        dry_run=wanted.dry_run,
        created_at=now_ms,
        updated_at=now_ms,
        sent_at=now_ms,
        position=lower_bound(EVENT, now_ms=since),
        end=lower_bound(EVENT, now_ms=until),
    )


def _start(services: Services, job: ReplayJob, *, can_be_repeated: bool) -> None:
    """Send the message of a job's first step."""
    try:
        services.replay_queue.send(job.next_step)
    except Unavailable:
        if not can_be_repeated:
            # The caller does not know the job, so it must not start later when someone lists the jobs.
            services.replays.remove(job)
        raise


def _find(services: Services, endpoint: Endpoint, replay_id: str) -> ReplayJob:
    job = services.replays.get(endpoint.id, replay_id) if is_id(replay_id, REPLAY) else None
    if job is None:
        raise not_found("replay")
    return job


def _keep_alive(services: Services, job: ReplayJob) -> None:
    """Restart a job that has stalled because its message was lost; every look at a job does this."""
    try:
        wake(services.replays, services.replay_queue, job, now_ms=services.clock())
    except Unavailable as error:
        telemetry.call_failed(error)  # the job can be shown all the same
