"""`posthorn workspaces delete`: removes a workspace and all that belongs to it, and waits until that is done."""

import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated, Final

import typer

from posthorn.api.routes import purge_views
from posthorn.delivery import purge_start
from posthorn.domain.purge_job import PurgeState
from posthorn_cli import installed, progress
from posthorn_cli.errors import CommandError
from posthorn_cli.installed import Installed
from posthorn_cli.options import AsJson, Profile, Region, Stack
from posthorn_cli.output import note, print_json, print_text, printable
from posthorn_cli.progress import Step

if TYPE_CHECKING:
    from posthorn.domain.purge_job import PurgeJob

_PAUSE_SECONDS: Final = 2.0


def delete(
    *,
    uid: Annotated[
        str, typer.Argument(metavar="UID", help="Your own id for the customer, or the workspace's id.")
    ],
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask for confirmation.")] = False,
    wait: Annotated[
        bool, typer.Option("--wait/--no-wait", help="Wait until nothing is left, three minutes at least.")
    ] = True,
    stack: Stack = "posthorn",
    region: Region = None,
    profile: Profile = None,
    as_json: AsJson = False,
) -> None:
    """Delete a workspace with its keys, endpoints, configuration sets, event types, deliveries and events.

    This cannot be undone. The same command again continues to wait, or to purge if a message was lost.
    """
    place = installed.find(stack, region=region, profile=profile)
    one = place.workspaces.get(uid)
    if one is not None and not yes:
        what = f"Delete the workspace {one.uid} ({printable(one.name)}) and all that belongs to it?"
        typer.confirm(what, abort=True, err=True)
    job = start(place, uid)
    if wait:
        job = follow(place, job)
    if as_json:
        print_json({"purge": purge_views.purge(job)})
    else:
        print_text(*_lines(job))
    if wait is False:
        note(f"To see the progress: posthorn workspaces delete --yes {job.workspace}")


def start(place: Installed, name: str) -> "PurgeJob":
    """Start the purge of a workspace, or return the one that was started before."""
    job = purge_start.start(
        place.workspaces,
        place.purges,
        place.purge_queue,
        name,
        now_ms=place.clock(),
        contended=CommandError("The workspace is being changed. Run the command again."),
    )
    if job is None:
        raise CommandError(f"There is no workspace with the id or uid {name}.")
    return job


def follow(place: Installed, job: "PurgeJob", *, sleep: Callable[[float], object] = time.sleep) -> "PurgeJob":
    """Show the progress of a purge until it is done; returns it as it is then."""
    with progress.shown() as report:
        while job.is_unfinished:
            sleep(_PAUSE_SECONDS)
            found = purge_start.find(
                place.workspaces, place.purges, place.purge_queue, job.workspace, now_ms=place.clock()
            )
            if found is None:
                raise CommandError("The purge is gone: it was done more than a week ago.")
            job = found
            report(Step(sum(job.removed.values()), None, _progress(job)))
    return job


def _progress(job: "PurgeJob") -> str:
    if job.state is PurgeState.QUEUED:
        return "waiting for PurgeFunction"
    return f"{sum(job.removed.values()):,} removed, round {job.round}: {job.phase}"


def _lines(job: "PurgeJob") -> list[str]:
    counts = purge_views.purge(job)["removed"]
    return [
        f"workspace          {job.workspace}",
        f"uid                {job.uid}",
        f"state              {job.state}",
        *(f"{kind:<18} {count:,}" for kind, count in counts.items()),
    ]
