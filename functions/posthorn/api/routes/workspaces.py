"""`/v1/workspaces`: the customers of the platform, by its own ids for them."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Annotated, Final, Literal
from urllib.parse import unquote

from pydantic import Field, StringConstraints

from posthorn.api import bodies
from posthorn.api.http import Answer, Request
from posthorn.api.problems import Problem, not_found
from posthorn.api.route import PAGED, Route
from posthorn.api.routes import workspace_views
from posthorn.api.routes.deliveries import invalid_filter
from posthorn.api.routes.workspace_limits import LimitChange
from posthorn.domain.api_key import PLATFORM
from posthorn.domain.compare_and_set import compare_and_set
from posthorn.domain.ids import WORKSPACE
from posthorn.domain.workspace import UID_RULE, Workspace, WorkspaceStatus, is_uid

if TYPE_CHECKING:
    from posthorn.api.answers.workspaces import WorkspaceList, WorkspaceResult
    from posthorn.api.services import Services

PATH: Final = "/v1/workspaces"
ONE: Final = f"{PATH}/{{workspace}}"

MAX_METADATA: Final = 20

type MetadataKey = Annotated[str, StringConstraints(pattern=r"^[^\x00-\x1f\x7f]{1,40}$")]
type MetadataValue = Annotated[str, StringConstraints(max_length=200)]


class WorkspaceChange(bodies.Body):
    """The fields to set; absent fields keep their values."""

    name: Annotated[str, StringConstraints(min_length=1, max_length=128, pattern=r"^[^\x00-\x1f\x7f]*$")] = (
        Field(default="", description="A name of yours, without control characters. By default, the uid.")
    )
    metadata: Annotated[dict[MetadataKey, MetadataValue], Field(max_length=MAX_METADATA)] = Field(
        default_factory=dict[str, str], description="Texts to keep with the workspace. Replaces all of them."
    )
    status: Literal["active", "suspended"] = Field(
        default="active",
        description="A suspended workspace cannot publish events or send emails; all else works.",
    )
    limits: LimitChange = Field(
        default_factory=LimitChange,
        description="Limits that differ from those of the installation; 0 is none. Replaces all of them.",
    )

    def of(self, one: Workspace) -> Workspace:
        """Return a workspace with the fields that were given."""
        given = self.model_fields_set
        return replace(
            one,
            name=self.name if "name" in given else one.name,
            metadata=self.metadata if "metadata" in given else one.metadata,
            status=WorkspaceStatus(self.status) if "status" in given else one.status,
            limits=self.limits.given if "limits" in given else one.limits,
        )


def list_workspaces(services: Services, request: Request) -> Answer[WorkspaceList]:
    read = partial(services.workspaces.store.page, _status(request))
    page, cursor = services.cursors.page(request, read)
    content: WorkspaceList = {"workspaces": [workspace_views.workspace(one) for one in page]}
    if cursor is not None:
        content["nextCursor"] = cursor
    return Answer(content)


def put_workspace(services: Services, request: Request) -> Answer[WorkspaceResult]:
    """Create the workspace with this uid, or change it; of concurrent requests, one creates it."""
    uid = name_in(request)
    if not is_uid(uid):
        raise Problem(400, "invalid_uid", f"A uid must have {UID_RULE}.")
    change = bodies.validate(WorkspaceChange, bodies.parse_optional(request))
    made = change.of(Workspace(id=services.new_id(WORKSPACE), uid=uid, name=uid, created_at=services.clock()))

    def attempt() -> tuple[Workspace, int] | None:
        old = services.workspaces.store.get(uid)
        if old is None:
            return (made, 201) if services.workspaces.store.create(made) else None
        new = _changed(services, old, change)
        return None if new is None else (new, 200)

    one, status = compare_and_set(attempt, contended=contended())
    services.workspaces.forget(one.id, one.uid)
    return Answer({"workspace": workspace_views.workspace(one)}, status=status)


def retrieve_workspace(services: Services, request: Request) -> Answer[WorkspaceResult]:
    return Answer({"workspace": workspace_views.workspace(_find(services, request))})


def update_workspace(services: Services, request: Request) -> Answer[WorkspaceResult]:
    change = bodies.validate(WorkspaceChange, bodies.parse(request))
    one = compare_and_set(lambda: _changed(services, _find(services, request), change), contended=contended())
    services.workspaces.forget(one.id, one.uid)
    return Answer({"workspace": workspace_views.workspace(one)})


ROUTES: Final = (
    Route(
        "GET",
        PATH,
        PLATFORM,
        list_workspaces,
        "List workspaces",
        note="A workspace created or changed a moment ago may not show up yet, or with its old fields.",
        query=(*PAGED, "status"),
    ),
    Route(
        "PUT",
        ONE,
        PLATFORM,
        put_workspace,
        "Create a workspace, or change it",
        WorkspaceChange,
        is_body_optional=True,
        is_upsert=True,
        note=(
            f"The path must name a uid: your own id for the customer, {UID_RULE}. A uid never changes. Of concurrent"
            " requests for one uid, one creates the workspace, and the others change it."
        ),
    ),
    Route("GET", ONE, PLATFORM, retrieve_workspace, "Retrieve a workspace"),
    Route(
        "PATCH",
        ONE,
        PLATFORM,
        update_workspace,
        "Change a workspace",
        WorkspaceChange,
        note="A new status takes effect within 30 seconds.",
    ),
)


def name_in(request: Request) -> str:
    return unquote(request.path["workspace"])  # clients encode the colon, which uids may have


def _find(services: Services, request: Request) -> Workspace:
    one = services.workspaces.store.get(name_in(request))
    if one is None:
        raise not_found("workspace")
    return one


def _changed(services: Services, old: Workspace, change: WorkspaceChange) -> Workspace | None:
    """Return the workspace as changed; None if another request changed it meanwhile."""
    if old.state.is_deleting:
        detail = "The workspace is being deleted. Its uid can be used again when the purge is done."
        raise Problem(409, "workspace_deleting", detail)
    wanted = change.of(old)
    if wanted == old:
        return old
    new = replace(wanted, revision=old.revision + 1)
    return new if services.workspaces.store.replace(old, new) else None


def contended() -> Problem:
    detail = "Other requests are changing the workspace at the same time. Retry the request."
    return Problem(409, "concurrent_changes", detail)


def _status(request: Request) -> WorkspaceStatus | None:
    text = request.query.get("status")
    if text is None:
        return None
    if text not in frozenset(WorkspaceStatus):
        raise invalid_filter("status", f"`status` must be one of {', '.join(WorkspaceStatus)}.")
    return WorkspaceStatus(text)
