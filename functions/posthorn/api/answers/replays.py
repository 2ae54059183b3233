"""Answers about bulk replays, which both kinds of endpoint share."""

from typing import NotRequired, TypedDict

from posthorn.api.answers.fields import Count, Fraction, Time, spelled_by_kind
from posthorn.domain.models import Reason
from posthorn.domain.replay_job import JobState, ReplaySelection


@spelled_by_kind
class ReplayCounts(TypedDict):
    """What a bulk replay has done so far."""

    matched: Count
    """Deliveries found so far; in a dry run, those that would be replayed."""
    replayed: Count
    """Deliveries that were started again."""
    skipped: Count
    """Deliveries that had expired or were replayed otherwise after they were found, and those of expunged events."""


@spelled_by_kind
class ReplayProgress(TypedDict):
    """How far a bulk replay has come."""

    position: Time
    """Every delivery of an event accepted before this time has been looked at."""
    fraction: Fraction
    """The part of the time from `since` to `until` that has been looked at."""


@spelled_by_kind
class Replay(TypedDict):
    """A job that sends past deliveries of an endpoint again."""

    id: str
    """Identifies the replay: `rpl_` and 26 characters."""
    state: JobState
    """The state of the job."""
    dry_run: bool
    """Whether it only counts."""
    since: Time
    """Deliveries of events accepted at this time or later are replayed."""
    until: Time
    """Deliveries of events accepted before this time are replayed."""
    status: ReplaySelection
    """Which of them are replayed."""
    counts: ReplayCounts
    """What it has done so far."""
    progress: ReplayProgress
    """How far it has come."""
    created_at: Time
    """When it was created."""
    updated_at: Time
    """When it last went on."""
    reason: NotRequired[Reason]
    """Why it stopped; only when `state` is `stopped`."""
    finished_at: NotRequired[Time]
    """When it was over; absent until then."""


@spelled_by_kind
class ReplayList(TypedDict):
    """A page of bulk replays."""

    replays: list[Replay]
    """The bulk replays of this page, the newest first."""
    next_cursor: NotRequired[str]
    """The `cursor` of the next page; absent on the last one."""


@spelled_by_kind
class ReplayResult(TypedDict):
    """One bulk replay."""

    replay: Replay
    """The bulk replay as it is now."""
