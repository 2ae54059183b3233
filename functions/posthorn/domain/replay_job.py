"""Bulk replays: which deliveries of an endpoint are to be sent again, and how far that has come."""

from dataclasses import dataclass, field
from enum import StrEnum

from posthorn.domain.ids import made_at
from posthorn.domain.models import Reason, Status


class ReplaySelection(StrEnum):
    """Which deliveries a replay sends again; those that are still open never are."""

    FAILED = "failed"
    ALL = "all"  # delivered ones, too

    @property
    def statuses(self) -> tuple[Status, ...]:
        return (Status.FAILED,) if self is ReplaySelection.FAILED else (Status.FAILED, Status.DELIVERED)


class JobState(StrEnum):
    """Where a replay stands."""

    QUEUED = "queued"
    RUNNING = "running"
    DONE = "done"
    CANCELLED = "cancelled"
    STOPPED = "stopped"  # its endpoint was disabled or deleted; the job's reason tells which

    @property
    def is_live(self) -> bool:
        """Whether it goes on by itself."""
        return self in {JobState.QUEUED, JobState.RUNNING}


@dataclass(frozen=True, slots=True)
class ReplayCounts:
    """How many deliveries; in the end, those that matched were replayed or skipped."""

    matched: int = 0
    replayed: int = 0
    skipped: int = 0  # not as they were when they matched: somebody else replayed them, or they expired


@dataclass(frozen=True, slots=True)
class ReplayStep:
    """One step of a replay that is to be made."""

    endpoint_id: str
    replay_id: str
    number: int  # from 1; a job whose next step is a later one has made it


@dataclass(frozen=True, slots=True)
class ReplayJob:
    """A bulk replay. Times are Unix milliseconds."""

    id: str
    endpoint_id: str
    channel: str
    since: int
    until: int  # events of this millisecond are no longer meant
    wanted: ReplaySelection
    dry_run: bool
    created_at: int
    updated_at: int
    sent_at: int  # when the message of its next step was last sent, or was about to be
    position: (
        str  # up to here, deliveries have been looked at: an event id, or a moment as `lower_bound` writes it
    )
    end: str  # the position after the last
    state: JobState = JobState.QUEUED
    reason: Reason | None = None  # only when stopped
    step: int = 1  # the number of its next step
    page: dict[str, int] = field(default_factory=dict[str, int])  # what that replays: event id -> generation
    counts: ReplayCounts = ReplayCounts()
    finished_at: int | None = None
    revision: int = 1  # one more with every change; a change is written only over the one it was made from

    @property
    def next_step(self) -> ReplayStep:
        return ReplayStep(self.endpoint_id, self.id, number=self.step)

    @property
    def is_unfinished(self) -> bool:
        """Whether a step is still to come; when it was cancelled, that counts what had begun."""
        return self.state.is_live or bool(self.page)

    @property
    def reached(self) -> int:
        """The moment of the events that it has come to."""
        return made_at(self.position)

    @property
    def fraction(self) -> float:
        """How much of its window it has looked at, from 0 to 1."""
        return (self.reached - self.since) / (self.until - self.since)
