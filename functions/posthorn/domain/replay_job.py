"""Bulk replays: which deliveries of an endpoint are sent again, and the progress."""

from dataclasses import dataclass, field
from enum import StrEnum

from posthorn.domain.ids import made_at
from posthorn.domain.models import Reason, Status


class ReplaySelection(StrEnum):
    """Which deliveries a replay sends again; never those that are still open."""

    FAILED = "failed"
    ALL = "all"  # failed and delivered

    @property
    def statuses(self) -> tuple[Status, ...]:
        return (Status.FAILED,) if self is ReplaySelection.FAILED else (Status.FAILED, Status.DELIVERED)


class JobState(StrEnum):
    """The state of a replay."""

    QUEUED = "queued"
    RUNNING = "running"
    DONE = "done"
    CANCELLED = "cancelled"
    STOPPED = "stopped"  # its endpoint was disabled or deleted, see the job's reason

    @property
    def is_live(self) -> bool:
        """Whether the job is still to run or running."""
        return self in {JobState.QUEUED, JobState.RUNNING}


@dataclass(frozen=True, slots=True)
class ReplayCounts:
    """Numbers of deliveries; in the end, all that matched were replayed or skipped."""

    matched: int = 0
    replayed: int = 0
    skipped: int = 0  # changed after they matched: replayed by another request, or expired


@dataclass(frozen=True, slots=True)
class ReplayStep:
    """One step of a replay, to be run."""

    endpoint_id: str
    replay_id: str
    number: int  # from 1; already run if the job's next step is a later one


@dataclass(frozen=True, slots=True)
class ReplayJob:
    """A bulk replay. Times are Unix milliseconds."""

    id: str
    endpoint_id: str
    channel: str
    since: int
    until: int  # exclusive
    wanted: ReplaySelection
    dry_run: bool
    created_at: int
    updated_at: int
    sent_at: int  # when the message for the next step was last sent, or was about to be
    position: str  # deliveries up to here have been examined: an event id, or a `lower_bound` of ids
    end: str  # the position after the last delivery
    state: JobState = JobState.QUEUED
    reason: Reason | None = None  # only when stopped
    step: int = 1  # the number of the next step
    page: dict[str, int] = field(default_factory=dict[str, int])  # of that step: event id -> generation
    counts: ReplayCounts = ReplayCounts()
    finished_at: int | None = None
    revision: int = 1  # incremented by every change; a change replaces only the revision it read

    @property
    def next_step(self) -> ReplayStep:
        return ReplayStep(self.endpoint_id, self.id, number=self.step)

    @property
    def is_unfinished(self) -> bool:
        """Whether a step is still to come; a cancelled job still counts the deliveries that it has restarted."""
        return self.state.is_live or bool(self.page)

    @property
    def reached(self) -> int:
        """The timestamp of the events that the job has reached, in Unix milliseconds."""
        return made_at(self.position)

    @property
    def fraction(self) -> float:
        """The part of the time window that has been examined, from 0 to 1."""
        return (self.reached - self.since) / (self.until - self.since)
