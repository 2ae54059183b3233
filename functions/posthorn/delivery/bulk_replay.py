"""Bulk replays, one step per message.

A step replays the page that the previous step found, finds the next page, records both in one conditional write,
and sends the message for the next step. Until that write, a step can be repeated: the page holds the generation of
each delivery to restart, so a repeated or concurrent step restarts none twice.
"""

from __future__ import annotations

from concurrent.futures import wait
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

from posthorn import telemetry
from posthorn.aws.batch_response import identifier
from posthorn.aws.clients import threads
from posthorn.aws.messages import read_step
from posthorn.domain.compare_and_set import compare_and_set
from posthorn.domain.errors import Malformed, Unavailable
from posthorn.domain.models import DeliveryKey, Reason, Status
from posthorn.domain.replay_job import JobState

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from posthorn.aws.queues import DeadLetterQueue, Queues, ReplayQueue
    from posthorn.domain.models import Delivery
    from posthorn.domain.replay_job import ReplayJob, ReplayStep
    from posthorn.stores.deliveries import Deliveries
    from posthorn.stores.endpoints import Endpoints
    from posthorn.stores.events import Events
    from posthorn.stores.replay_candidates import ReplayCandidates
    from posthorn.stores.replays import Replays

PAGE: Final = 100
"""Deliveries per step: one BatchGetItem."""

PAUSE: Final = 2
"""Seconds between pages. With PAGE, a job adds at most 50 deliveries a second to the receiver's live traffic."""

COUNTED_PAGE: Final = 1000
"""Deliveries that a step of a dry run reads; DynamoDB ends a page at 1 MB in any case."""

STALLED_MS: Final = 120_000
"""Age at which a step's message counts as lost: longer than a pause and a step take, and shorter than the
visibility timeout of a message whose step was cut off."""


class Replayer:
    """Runs the steps that messages ask for."""

    def __init__(
        self,
        replays: Replays,
        endpoints: Endpoints,
        deliveries: Deliveries,
        candidates: ReplayCandidates,
        events: Events,
        *,
        queues: Queues,
        steps: ReplayQueue,
        dead_letters: DeadLetterQueue,
        clock: Callable[[], int],
    ) -> None:
        self._replays = replays
        self._endpoints = endpoints
        self._deliveries = deliveries
        self._candidates = candidates
        self._events = events
        self._queues = queues
        self._steps = steps
        self._dead_letters = dead_letters
        self._clock = clock

    def replay(self, messages: Sequence[Mapping[str, Any]]) -> set[str]:
        """Run the step of every message; returns the ids of the messages to retry."""
        failed: set[str] = set()
        for message in messages:
            message_id, body = identifier(message, "messageId"), str(message.get("body", ""))
            try:
                if not self._take(message_id, body):
                    failed.add(message_id)
            except Unavailable as error:
                telemetry.call_failed(error)
                failed.add(message_id)
        return failed

    def _take(self, message_id: str, body: str) -> bool:
        """Run one step; false when its message must be retried."""
        try:
            step = read_step(body)
        except Malformed as error:
            kind, reason = "message", str(error)
            telemetry.dead_lettered(kind, message_id, reason)
            self._dead_letters.put({"kind": kind, "message_id": message_id, "body": body}, reason=reason)
            return True
        try:
            return self._make(step)
        except Malformed as error:  # a later version's row, after a rollback
            telemetry.row_unreadable(step.replay_id, str(error))
            return False

    def _make(self, step: ReplayStep) -> bool:
        return compare_and_set(lambda: self._make_once(step), contended=Unavailable("replay", "Contended"))

    def _make_once(self, step: ReplayStep) -> bool | None:
        """Run one step; None if the job changed meanwhile."""
        job = self._replays.get(step.endpoint_id, step.replay_id)
        if job is None or not job.is_unfinished:
            return True
        if job.step != step.number:
            return self._made_before(job, step)
        after, pause = self._advanced(job)
        if not self._replays.replace(job, after):
            # cancelled or taken over meanwhile: the next try finds and counts what this one restarted
            return None
        if after.is_unfinished:
            self._steps.send(after.next_step, delay=pause)
        else:
            telemetry.replay_finished(after)
        return True

    def _made_before(self, job: ReplayJob, step: ReplayStep) -> bool:
        """Tell whether the message of a finished step can be deleted; if the next step's message was lost, send it."""
        if job.step != step.number + 1:
            return True
        # the run that finished the step may have died before it sent the next message: keep this one until then
        return wake(self._replays, self._steps, job, now_ms=self._clock())

    def _advanced(self, job: ReplayJob) -> tuple[ReplayJob, int]:
        """Run a job's next step; returns the job after it, and the seconds to pause."""
        now = self._clock()
        stop = self._reason_to_stop(job) if job.state.is_live else None
        goes_on = job.state.is_live and stop is None
        replayed = self._replay_page(job, begin=goes_on, now_ms=now) if job.page else 0
        counts = replace(
            job.counts,
            replayed=job.counts.replayed + replayed,
            skipped=job.counts.skipped + len(job.page) - replayed,
        )
        after = replace(
            job,
            step=job.step + 1,
            page={},
            counts=counts,
            updated_at=now,
            sent_at=now,
            revision=job.revision + 1,
        )
        if stop is not None:
            after = replace(after, state=JobState.STOPPED, reason=stop, finished_at=now)
        elif goes_on:
            after = self._looked_further(after)
        return after, PAUSE if replayed else 0

    def _looked_further(self, job: ReplayJob) -> ReplayJob:
        """Return the job with its next page, or as done when there is none."""
        found: dict[str, int] = {}
        position = job.position
        if position != job.end:
            limit = COUNTED_PAGE if job.dry_run else PAGE
            found, position = self._candidates.page(
                job.endpoint_id, job.wanted, after=position, end=job.end, limit=limit
            )
        page = {} if job.dry_run else found
        is_done = position == job.end and not page
        return replace(
            job,
            state=JobState.DONE if is_done else JobState.RUNNING,
            finished_at=job.updated_at if is_done else None,
            page=page,
            position=position,
            counts=replace(job.counts, matched=job.counts.matched + len(found)),
        )

    def _reason_to_stop(self, job: ReplayJob) -> Reason | None:
        """Return why the job must stop because nothing would be received, else None."""
        endpoint = self._endpoints.get(job.channel, job.endpoint_id)
        if endpoint is None:
            return Reason.ENDPOINT_DELETED
        return None if endpoint.enabled or job.dry_run else Reason.ENDPOINT_DISABLED

    def _replay_page(self, job: ReplayJob, *, begin: bool, now_ms: int) -> int:
        """Restart every delivery of the page whose event has its payload, or none if `begin` is false.

        Returns how many this job has restarted.
        """
        keys = {DeliveryKey(job.endpoint_id, event_id): before for event_id, before in job.page.items()}
        found = self._deliveries.get_every(keys)
        rows = {key: row for key in keys if (row := found.get(key)) is not None}
        begun = [row for key, row in rows.items() if _is_begun(row, job, keys[key])]
        if begin:
            waits = [
                row for key, row in rows.items() if row.generation == keys[key] and not row.status.is_open
            ]
            expunged = self._events.expunged((job.channel, row.key.event_id) for row in waits)
            beginning = [
                threads().submit(self._deliveries.restart, row, replay=job.id, now_ms=now_ms)
                for row in waits
                if row.key.event_id not in expunged
            ]
            wait(beginning)  # no write may still run after an error is raised
            fresh = [row for one in beginning if (row := one.result()) is not None]
            begun += [row for row in fresh if _is_begun(row, job, keys[row.key])]
        # an earlier run of this step may have died between row and message
        waiting = [row for row in begun if row.status is Status.QUEUED and row.attempt == 0]
        if self._queues.enqueue_all(waiting, now_ms=now_ms, on_error=telemetry.call_failed):
            raise Unavailable("send_message_batch", "Failed")
        return len(begun)


def wake(replays: Replays, steps: ReplayQueue, job: ReplayJob, *, now_ms: int) -> bool:
    """Resend the message of a job's next step if it counts as lost; false when it does not."""
    if not job.is_unfinished or now_ms - job.sent_at < STALLED_MS:
        return False
    # recorded first, so that only one of several callers sends
    if replays.replace(job, replace(job, sent_at=now_ms, revision=job.revision + 1)):
        steps.send(job.next_step)
    return True


def _is_begun(row: Delivery, job: ReplayJob, before: int) -> bool:
    """Tell whether this job started the row's generation."""
    return row.replay == job.id and row.generation == before + 1
