"""Purges of deleted workspaces, one step per message.

Removing a row twice does no harm, so a step only has to know where to go on: after each page it records what it has
removed, on the condition that no other run was faster. The phases are repeated after a pause, until nothing is left to
find: requests that a cache let through, and work that was under way, write a few more rows.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Final, Protocol

from posthorn import telemetry
from posthorn.aws.batch_response import identifier
from posthorn.aws.purge_queue import PurgeQueue, read_purge_step
from posthorn.delivery.purge_start import wake
from posthorn.domain.errors import Malformed, Unavailable
from posthorn.domain.purge_job import ROUND, PurgeKind, PurgePhase, PurgeState

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from posthorn.aws.queues import DeadLetterQueue
    from posthorn.domain.purge_job import PurgeJob, PurgeStep
    from posthorn.stores.purges import Purges
    from posthorn.stores.workspace_rows import Removed, WorkspaceRows
    from posthorn.stores.workspaces import Workspaces

SETTLE_SECONDS: Final = 180
"""The pause between two rounds: longer than any cache and any invocation, so that requests that were writing for the
workspace have ended."""

RETRY_SECONDS: Final = 30
"""The pause after a call failed in a step that had made progress."""

MARGIN_MS: Final = 10_000
"""The time that must be left in an invocation for another page."""

MAX_ROUNDS: Final = 20
"""An hour. A workspace that keeps getting events for longer is ended all the same: nothing is sent for them."""


class EmailResources(Protocol):
    """The part of the email backend that a purge needs."""

    def delete_set(self, workspace: str, set_id: str) -> None: ...
    def delete_tenant(self, workspace: str) -> None: ...


@dataclass(frozen=True, slots=True)
class _Page:
    """What was removed, and the position after it."""

    removed: Removed = field(default_factory=dict[PurgeKind, int])
    position: str = ""


class _Overtaken(Exception):
    """Another run of the step has recorded more than this one."""


class Purger:
    """Runs the steps that messages ask for."""

    def __init__(
        self,
        purges: Purges,
        workspaces: Workspaces,
        rows: WorkspaceRows,
        *,
        steps: PurgeQueue,
        dead_letters: DeadLetterQueue,
        email: EmailResources,
        clock: Callable[[], int],
    ) -> None:
        self._purges = purges
        self._workspaces = workspaces
        self._rows = rows
        self._steps = steps
        self._dead_letters = dead_letters
        self._email = email
        self._clock = clock

    def purge(self, messages: Sequence[Mapping[str, Any]], *, remaining_ms: Callable[[], int]) -> set[str]:
        """Run the step of every message; returns the ids of the messages to retry."""
        failed: set[str] = set()
        for message in messages:
            message_id, body = identifier(message, "messageId"), str(message.get("body", ""))
            try:
                if not self._take(message_id, body, remaining_ms):
                    failed.add(message_id)
            except Unavailable as error:
                telemetry.call_failed(error)
                failed.add(message_id)
        return failed

    def _take(self, message_id: str, body: str, remaining_ms: Callable[[], int]) -> bool:
        """Run one step; false when its message must be retried."""
        try:
            step = read_purge_step(body)
        except Malformed as error:
            kind, reason = "message", str(error)
            telemetry.dead_lettered(kind, message_id, reason)
            self._dead_letters.put({"kind": kind, "message_id": message_id, "body": body}, reason=reason)
            return True
        try:
            return self._make(step, remaining_ms)
        except Malformed as error:  # a later version's row, after a rollback
            telemetry.row_unreadable(step.workspace, str(error))
            return False

    def _make(self, step: PurgeStep, remaining_ms: Callable[[], int]) -> bool:
        job = self._purges.get(step.workspace)
        if job is None or not job.is_unfinished:
            return True
        if job.step != step.number:
            # the run that finished the step may have died before it sent the next message: keep this one until then
            is_previous = job.step == step.number + 1
            return not is_previous or wake(self._purges, self._steps, job, now_ms=self._clock())
        try:
            after, pause = self._advanced(job, remaining_ms)
        except _Overtaken:
            return True
        if after.is_unfinished:
            self._steps.send(after.next_step, delay=pause)
        else:
            telemetry.purge_finished(after)
        return True

    def _advanced(self, job: PurgeJob, remaining_ms: Callable[[], int]) -> tuple[PurgeJob, int]:
        """Work while there is time; returns the job before its next step, and the seconds to pause."""
        begun = job = self._recorded(replace(job, state=PurgeState.RUNNING))
        try:
            while True:
                for page in self._pages(job):
                    job = job.after(page.removed, page.position)
                    if page.removed:
                        job = self._recorded(job)
                    if remaining_ms() < MARGIN_MS:
                        return self._before_next_step(job), 0
                following = _following(job)
                if following is None:
                    return self._ended(job), 0
                if following.round > job.round:
                    return self._before_next_step(following, pause=SETTLE_SECONDS), SETTLE_SECONDS
                job = following
        except Unavailable as error:
            if job is begun:
                raise
            telemetry.call_failed(
                error
            )  # with a new step, a long outage does not use up the receives of a message
            return self._before_next_step(job, pause=RETRY_SECONDS), RETRY_SECONDS

    def _pages(self, job: PurgeJob) -> Iterator[_Page]:
        """Do the work of a phase, and yield after each page."""
        rows, workspace = self._rows, job.workspace
        match job.phase:
            case PurgePhase.API_KEYS:
                return map(_Page, rows.delete_api_keys(workspace))
            case PurgePhase.ENDPOINTS:
                return self._in_channels(workspace, rows.bury_endpoints)
            case PurgePhase.CONFIGURATION_SETS:
                return self._delete_sets(job)
            case PurgePhase.SETTINGS:
                return map(_Page, rows.delete_settings(workspace))
            case PurgePhase.DELIVERIES:
                return self._delete_deliveries(job)
            case PurgePhase.EVENTS:
                return self._in_channels(workspace, rows.delete_events)
            case PurgePhase.REMAINDER:
                return self._in_channels(workspace, rows.delete_remainder)

    def _in_channels(self, workspace: str, delete: Callable[[str], Iterator[Removed]]) -> Iterator[_Page]:
        """Delete rows of every channel; last of the workspace, whose partition names the others."""
        for channel in self._rows.channels(workspace):
            yield from map(_Page, delete(channel))

    def _delete_sets(self, job: PurgeJob) -> Iterator[_Page]:
        """Delete configuration sets and the tenant at the email backend, first the sets that are left of others.

        A request that was creating one may have made its resources after the set was deleted, so later rounds look
        again.
        """
        self._email.delete_tenant(job.workspace)
        position = job.position
        if job.round > 1:
            for set_id in self._rows.deleted_sets(job.workspace):
                if set_id > position:
                    self._email.delete_set(job.workspace, set_id)
                    position = set_id
                    yield _Page(position=position)
        for set_id in self._rows.configuration_sets(job.workspace):
            self._email.delete_set(job.workspace, set_id)
            yield _Page(self._rows.bury_set(job.workspace, set_id), position)

    def _delete_deliveries(self, job: PurgeJob) -> Iterator[_Page]:
        """Delete the deliveries and replays of every endpoint that was deleted from any channel."""
        reached, _, after = job.position.partition("/")
        position = job.position
        for channel in self._rows.channels(job.workspace):
            if channel < reached:
                continue
            for endpoint_id in self._rows.deleted_endpoints(
                channel, after=after if channel == reached else ""
            ):
                for removed in self._rows.delete_deliveries(endpoint_id):
                    yield _Page(removed, position)
                position = f"{channel}/{endpoint_id}"
                yield _Page(position=position)

    def _recorded(self, job: PurgeJob) -> PurgeJob:
        """Write the progress, and return the job as it is in its row."""
        new = replace(job, updated_at=self._clock(), revision=job.revision + 1)
        if not self._purges.replace(job, new):
            raise _Overtaken
        return new

    def _before_next_step(self, job: PurgeJob, *, pause: int = 0) -> PurgeJob:
        return self._recorded(replace(job, step=job.step + 1, sent_at=self._clock() + pause * 1000))

    def _ended(self, job: PurgeJob) -> PurgeJob:
        """Remove the workspace itself, which frees its uid, and end the job."""
        self._workspaces.remove(job.workspace, job.uid)
        return self._recorded(replace(job, state=PurgeState.DONE, finished_at=self._clock()))


def _following(job: PurgeJob) -> PurgeJob | None:
    """Return the job in its next phase, perhaps in the next round; None if there is none."""
    if job.phase is PurgePhase.REMAINDER:
        return None
    if job.phase is not ROUND[-1]:
        return job.in_phase(ROUND[ROUND.index(job.phase) + 1])
    is_settled = job.round > 1 and job.removed_in_round == 0
    if is_settled or job.round >= MAX_ROUNDS:
        return job.in_phase(PurgePhase.REMAINDER)
    return replace(job.in_phase(ROUND[0]), round=job.round + 1, removed_in_round=0)
