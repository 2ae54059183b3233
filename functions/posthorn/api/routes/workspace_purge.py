"""`DELETE /v1/workspaces/{workspace}`: a workspace is removed with all that belongs to it, as a job."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from posthorn.api import idempotency
from posthorn.api.http import Answer, Request
from posthorn.api.problems import not_found
from posthorn.api.route import Route
from posthorn.api.routes import purge_views
from posthorn.api.routes.workspaces import ONE, contended, name_in
from posthorn.delivery import purge_start
from posthorn.domain.api_key import PLATFORM

if TYPE_CHECKING:
    from posthorn.api.answers.purges import PurgeResult
    from posthorn.api.services import Services

PURGE: Final = f"{ONE}/purge"


def delete_workspace(services: Services, request: Request) -> Answer[PurgeResult]:
    """Start the purge of a workspace, unless it was started before; PurgeFunction runs it page by page."""
    idempotency.check(request)  # deleting twice changes nothing, so the key decides nothing
    job = purge_start.start(
        services.workspaces.store,
        services.purges,
        services.purge_queue,
        name_in(request),
        now_ms=services.clock(),
        contended=contended(),
    )
    if job is None:
        raise not_found("workspace")
    services.workspaces.forget(job.workspace, job.uid)
    return Answer({"purge": purge_views.purge(job)})


def retrieve_purge(services: Services, request: Request) -> Answer[PurgeResult]:
    job = purge_start.find(
        services.workspaces.store,
        services.purges,
        services.purge_queue,
        name_in(request),
        now_ms=services.clock(),
    )
    if job is None:
        raise not_found("purge")
    return Answer({"purge": purge_views.purge(job)})


ROUTES: Final = (
    Route(
        "DELETE",
        ONE,
        PLATFORM,
        delete_workspace,
        "Delete a workspace and all that belongs to it, as a job",
        status=202,
        note=(
            "No request can act on the workspace any more, at the latest 30 seconds later. Its API keys, endpoints,"
            " configuration sets, event types, deliveries and events are removed page by page; the workspace itself is"
            " removed last, which frees its uid. Repeating the request changes nothing."
        ),
    ),
    Route(
        "GET",
        PURGE,
        PLATFORM,
        retrieve_purge,
        "Retrieve the purge of a workspace",
        note="Once it is done, for 7 days, and by the id of the workspace only.",
    ),
)
