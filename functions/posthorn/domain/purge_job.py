"""Purges: a deleted workspace's rows and resources are removed page by page, and the progress."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Self


class PurgeState(StrEnum):
    """The state of a purge."""

    QUEUED = "queued"
    RUNNING = "running"
    DONE = "done"


class PurgePhase(StrEnum):
    """What a purge is removing, in this order."""

    API_KEYS = "apiKeys"
    ENDPOINTS = "endpoints"
    CONFIGURATION_SETS = "configurationSets"
    SETTINGS = "settings"  # event types, idempotency keys, and whatever else the workspace's partition holds
    DELIVERIES = "deliveries"  # and bulk replays
    EVENTS = "events"
    REMAINDER = "remainder"  # what the phases before it need to find the rest, and the workspace itself


class PurgeKind(StrEnum):
    """The kinds of things that a purge counts."""

    API_KEYS = "apiKeys"
    ENDPOINTS = "endpoints"
    CONFIGURATION_SETS = "configurationSets"
    EVENT_TYPES = "eventTypes"
    DELIVERIES = "deliveries"
    REPLAYS = "replays"
    EVENTS = "events"
    OTHER = "other"  # rows that no caller sees: idempotency keys, slots, what is left of deleted endpoints


ROUND: tuple[PurgePhase, ...] = tuple(PurgePhase)[:-1]
"""The phases that are repeated until there is nothing left for them."""


@dataclass(frozen=True, slots=True)
class PurgeStep:
    """One step of a purge, to be run."""

    workspace: str
    number: int  # from 1; already run if the job's next step is a later one


@dataclass(frozen=True, slots=True)
class PurgeJob:
    """The purge of a workspace. Times are Unix milliseconds."""

    workspace: str
    uid: str
    created_at: int
    updated_at: int
    sent_at: int  # when the message for the next step is received at the earliest
    state: PurgeState = PurgeState.QUEUED
    round: int = 1
    phase: PurgePhase = ROUND[0]
    position: str = ""  # in the phase: everything up to here has been removed
    step: int = 1  # the number of the next step
    removed: Mapping[str, int] = field(default_factory=dict[str, int])  # by kind
    removed_in_round: int = 0
    finished_at: int | None = None
    revision: int = 1  # incremented by every change; a change replaces only the revision it read

    @property
    def next_step(self) -> PurgeStep:
        return PurgeStep(self.workspace, number=self.step)

    @property
    def is_unfinished(self) -> bool:
        return self.state is not PurgeState.DONE

    def after(self, removed: Mapping[PurgeKind, int], position: str) -> Self:
        """Return the job after a page of its phase."""
        totals = dict(self.removed)
        for kind, count in removed.items():
            totals[kind] = totals.get(kind, 0) + count
        return replace(
            self,
            removed=totals,
            removed_in_round=self.removed_in_round + sum(removed.values()),
            position=position,
        )

    def in_phase(self, phase: PurgePhase) -> Self:
        return replace(self, phase=phase, position="")
