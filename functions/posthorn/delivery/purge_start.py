"""Starts the purge of a workspace, and keeps it going; used by the API and the command."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final

from posthorn.domain.compare_and_set import compare_and_set
from posthorn.domain.purge_job import PurgeJob, PurgeState
from posthorn.domain.workspace import WorkspaceStatus, is_workspace_id

if TYPE_CHECKING:
    from posthorn.aws.purge_queue import PurgeQueue
    from posthorn.stores.purges import Purges
    from posthorn.stores.workspaces import Workspaces

STALLED_MS: Final = 120_000
"""Age at which a step's message counts as lost: longer than a step takes, and shorter than the visibility timeout of a
message whose step was cut off."""


def start(
    workspaces: Workspaces,
    purges: Purges,
    steps: PurgeQueue,
    name: str,
    *,
    now_ms: int,
    contended: Exception,
) -> PurgeJob | None:
    """Start the purge of the workspace with this id or uid, or return the one that was started before.

    None if there is no such workspace and no purge of it. The order survives a crash between any two calls: nothing
    acts on a workspace that is being deleted, and a repetition completes what is missing.
    """

    def attempt() -> tuple[str, str] | None:
        one = workspaces.get(name)
        if one is None:
            return (name, "")
        deleting = replace(one, status=WorkspaceStatus.DELETING, revision=one.revision + 1)
        if one.status is not WorkspaceStatus.DELETING and not workspaces.replace(one, deleting):
            return None
        return (one.id, one.uid)

    workspace, uid = compare_and_set(attempt, contended=contended)
    if not uid:
        return find(workspaces, purges, steps, name, now_ms=now_ms)
    job = PurgeJob(workspace, uid, created_at=now_ms, updated_at=now_ms, sent_at=now_ms)
    if not purges.create(job):
        job = purges.get(workspace) or job
    if job.state is PurgeState.QUEUED:  # each step sends the message of the next
        steps.send(job.next_step)
    else:
        wake(purges, steps, job, now_ms=now_ms)
    return job


def find(
    workspaces: Workspaces, purges: Purges, steps: PurgeQueue, name: str, *, now_ms: int
) -> PurgeJob | None:
    """Return the purge of a workspace; once that is gone, by its id only. Sends a message that was lost."""
    one = workspaces.get(name)
    workspace = name if one is None else one.id
    job = purges.get(workspace) if is_workspace_id(workspace) else None
    if job is not None:
        wake(purges, steps, job, now_ms=now_ms)
    return job


def wake(purges: Purges, steps: PurgeQueue, job: PurgeJob, *, now_ms: int) -> bool:
    """Resend the message of a job's next step if it counts as lost; false when it does not."""
    if not job.is_unfinished or now_ms - job.sent_at < STALLED_MS:
        return False
    # recorded first, so that only one of several callers sends
    if purges.replace(job, replace(job, sent_at=now_ms, revision=job.revision + 1)):
        steps.send(job.next_step)
    return True
