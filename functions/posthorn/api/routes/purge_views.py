"""How purges are shown."""

from __future__ import annotations

from typing import TYPE_CHECKING

from posthorn.domain.clock import rfc3339, rfc3339_ms

if TYPE_CHECKING:
    from posthorn.api.answers.purges import Purge
    from posthorn.domain.purge_job import PurgeJob


def purge(job: PurgeJob) -> Purge:
    """Show a job and its progress."""
    count = job.removed.get
    shown: Purge = {
        "workspace": job.workspace,
        "uid": job.uid,
        "state": job.state,
        "phase": job.phase,
        "round": job.round,
        "removed": {
            "apiKeys": count("apiKeys", 0),
            "endpoints": count("endpoints", 0),
            "configurationSets": count("configurationSets", 0),
            "eventTypes": count("eventTypes", 0),
            "deliveries": count("deliveries", 0),
            "replays": count("replays", 0),
            "events": count("events", 0),
            "other": count("other", 0),
        },
        "createdAt": rfc3339(job.created_at),
        "updatedAt": rfc3339_ms(job.updated_at),
    }
    if job.finished_at is not None:
        shown["finishedAt"] = rfc3339_ms(job.finished_at)
    return shown
