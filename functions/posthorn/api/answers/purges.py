"""Answers about purges."""

from typing import NotRequired, TypedDict

from posthorn.api.answers.fields import Count, Time
from posthorn.domain.purge_job import PurgePhase, PurgeState


class PurgeCounts(TypedDict):
    """What a purge has removed so far. After an interruption, the last page may be missing or counted twice."""

    apiKeys: Count
    """API keys."""
    endpoints: Count
    """Webhooks and event destinations."""
    configurationSets: Count
    """Configuration sets, with their resources in SES."""
    eventTypes: Count
    """The workspace's own event types."""
    deliveries: Count
    """Deliveries, with their attempts."""
    replays: Count
    """Bulk replays."""
    events: Count
    """Events."""
    other: Count
    """Rows that no request shows, such as idempotency keys."""


class Purge(TypedDict):
    """A job that removes a workspace and all that belongs to it."""

    workspace: str
    """The id of the workspace."""
    uid: str
    """The platform's own id for it, which another workspace can have when this one is gone."""
    state: PurgeState
    """The state of the job."""
    phase: PurgePhase
    """What it is removing."""
    round: Count
    """The number of the pass through the phases. Passes repeat after a pause, until one finds nothing to remove."""
    removed: PurgeCounts
    """What it has removed so far."""
    createdAt: Time
    """When the workspace was deleted."""
    updatedAt: Time
    """When the job last went on."""
    finishedAt: NotRequired[Time]
    """When nothing was left; absent until then."""


class PurgeResult(TypedDict):
    """One purge."""

    purge: Purge
    """The purge as it is now."""
