"""How bulk replays are shown."""

from __future__ import annotations

from typing import TYPE_CHECKING

from posthorn.domain.clock import rfc3339, rfc3339_ms

if TYPE_CHECKING:
    from posthorn.api.answers.replays import Replay
    from posthorn.api.routes.endpoint_kinds import EndpointResource
    from posthorn.domain.replay_job import ReplayJob


def replay(resource: EndpointResource, job: ReplayJob) -> Replay:
    """Show a job and its progress."""
    shown: Replay = {
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
    return resource.write(shown)
