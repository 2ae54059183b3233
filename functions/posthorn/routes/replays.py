"""`…/replays`: bulk replays of an endpoint's deliveries, as jobs."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Annotated, Any, Final

from pydantic import Field

from posthorn.clock import rfc3339, rfc3339_ms
from posthorn.errors import Unavailable
from posthorn.ids import EVENT, REPLAY, is_id, lower_bound
from posthorn.replay import wake
from posthorn.replay_jobs import JobState, ReplayJob, Wanted
from posthorn.routes import bodies, cursors, idempotent, moments
from posthorn.routes.faces import FACES, WEBHOOKS, Face
from posthorn.routes.moments import Moment
from posthorn.routes.problems import FieldError, Problem, invalid, not_found
from posthorn.routes.route import PAGED, Answer, Request, Route
from posthorn.telemetry import outage

if TYPE_CHECKING:
    from collections.abc import Iterator

    from posthorn.models import Endpoint
    from posthorn.routes.office import Office

_CHANGES_AT_ONCE: Final = 5

type WantedStatus = Annotated[Wanted, Field(strict=False)]


class NewEventDestinationReplay(bodies.Body):
    """Which deliveries of an event destination to send again: those of the events from `since` to before `until`."""

    since: Moment
    until: Moment | None = None  # absent, or later than now: now
    status: WantedStatus = Wanted.FAILED
    dry_run: bool = False


class NewReplay(NewEventDestinationReplay):
    """Which deliveries of a webhook to send again: those of the events from `since` to before `until`."""

    dry_run: bool = Field(default=False, alias="dryRun")


def create_replay(face: Face, office: Office, request: Request) -> Answer:
    """Accept a job; it is done by ReplayFunction, page by page."""
    endpoint = face.find(office, request)
    wanted = bodies.validate(NewReplay if face.camel else NewEventDestinationReplay, bodies.parse(request))
    decision = idempotent.decide(office, request, [office.new_id(REPLAY)])
    job = None if decision.is_new else office.replays.get(endpoint.id, decision.ids[0])
    if job is None:
        if decision.is_done:
            detail = "What was made under this Idempotency-Key has expired."
            raise Problem(409, "idempotency_key_reused", detail)
        try:
            job = _planned(endpoint, wanted, decision.ids[0], decision.decided_at)
        except Problem:
            idempotent.forget(office, request)
            raise
        if not office.replays.create(job):  # a repetition of this request was faster
            job = _find(office, endpoint, job.id)
    if not decision.is_done:
        if job.step == 1:  # later ones ask for themselves
            _start(office, job, can_be_repeated=decision.is_kept)
        idempotent.finish(office, request, decision)
    return Answer({"replay": _shown(face, job)}, 202)


def list_replays(face: Face, office: Office, request: Request) -> Answer:
    endpoint = face.find(office, request)
    limit, after = cursors.read_limit(request), office.cursors.read(request)
    jobs, last = office.replays.page(endpoint.id, after=after, limit=limit)
    for job in jobs:
        _keep_alive(office, job)
    content: dict[str, Any] = {"replays": [_shown(face, job) for job in jobs]}
    if last is not None:
        content |= face.write({"next_cursor": office.cursors.write(request, last)})
    return Answer(content)


def retrieve_replay(face: Face, office: Office, request: Request) -> Answer:
    job = _find(office, face.find(office, request), request.path["replayId"])
    _keep_alive(office, job)
    return Answer({"replay": _shown(face, job)})


def cancel_replay(face: Face, office: Office, request: Request) -> Answer:
    """Cancel a job, unless it is cancelled already; what it has begun stays begun, and is still counted."""
    endpoint = face.find(office, request)
    for _ in range(_CHANGES_AT_ONCE):
        job = _find(office, endpoint, request.path["replayId"])
        if job.state is JobState.CANCELLED:
            return Answer({"replay": _shown(face, job)})
        if not job.state.is_live:
            raise Problem(409, "replay_finished", "This replay is over; there is nothing left to cancel.")
        now = office.clock()
        cancelled = replace(
            job, state=JobState.CANCELLED, updated_at=now, finished_at=now, revision=job.revision + 1
        )
        if office.replays.replace(job, cancelled):
            return Answer({"replay": _shown(face, cancelled)})
    raise Problem(409, "concurrent_changes", "This replay is changing too fast right now; try again.")


def _routes(face: Face) -> Iterator[Route]:
    body = NewReplay if face is WEBHOOKS else NewEventDestinationReplay
    path = f"{face.path}/replays"
    what = f"{'an' if face.what[0] in 'aeiou' else 'a'} {face.what}"
    yield Route(
        "GET", path, face.scope, face.bind(list_replays), f"List the bulk replays of {what}", query=PAGED
    )
    create, one = face.bind(create_replay), f"{path}/{{replayId}}"
    yield Route("POST", path, face.scope, create, f"Send past deliveries of {what} again, as a job", body)
    yield Route("GET", one, face.scope, face.bind(retrieve_replay), f"Retrieve a bulk replay of {what}")
    cancel = face.bind(cancel_replay)
    yield Route("POST", f"{one}/cancel", face.scope, cancel, f"Cancel a bulk replay of {what}")


ROUTES: Final = tuple(route for face in FACES for route in _routes(face))


def _planned(endpoint: Endpoint, wanted: NewEventDestinationReplay, replay_id: str, now_ms: int) -> ReplayJob:
    since = moments.read_ms(wanted.since, "/since")
    until = min(now_ms, now_ms if wanted.until is None else moments.read_ms(wanted.until, "/until"))
    if until <= since:
        at = "/since" if wanted.until is None else "/until"
        raise invalid([FieldError(at, "`until` is later than `since`, and `since` is in the past.")])
    if not (endpoint.enabled or wanted.dry_run):
        raise Problem(
            409, "endpoint_disabled", "This endpoint is disabled and would receive nothing; enable it first."
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


def _start(office: Office, job: ReplayJob, *, can_be_repeated: bool) -> None:
    """Send the message of a job's first step."""
    try:
        office.replay_queue.send(job.next_step)
    except Unavailable:
        if not can_be_repeated:
            # nobody knows of it, and it shall not come to life when somebody looks at the list
            office.replays.remove(job)
        raise


def _find(office: Office, endpoint: Endpoint, replay_id: str) -> ReplayJob:
    job = office.replays.get(endpoint.id, replay_id) if is_id(replay_id, REPLAY) else None
    if job is None:
        raise not_found("replay")
    return job


def _keep_alive(office: Office, job: ReplayJob) -> None:
    """Whoever looks at a job that stands still sets it going again: its message was lost."""
    try:
        wake(office.replays, office.replay_queue, job, now_ms=office.clock())
    except Unavailable as error:
        outage(error)  # it can be looked at all the same


def _shown(face: Face, job: ReplayJob) -> dict[str, Any]:
    shown: dict[str, Any] = {
        "id": job.id,
        "state": job.state,
        "dry_run": job.dry_run,
        "since": rfc3339_ms(job.since),
        "until": rfc3339_ms(job.until),
        "status": job.wanted,
        "counts": {
            "matched": job.counts.matched,
            "replayed": job.counts.replayed,
            "skipped": job.counts.skipped,
        },
        "progress": {"position": rfc3339_ms(job.reached), "fraction": round(job.fraction, 4)},
        "created_at": rfc3339(job.created_at),
        "updated_at": rfc3339_ms(job.updated_at),
    }
    if job.reason is not None:
        shown["reason"] = job.reason
    if job.finished_at is not None:
        shown["finished_at"] = rfc3339_ms(job.finished_at)
    return face.write(shown)
