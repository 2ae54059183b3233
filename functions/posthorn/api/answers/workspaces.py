"""Answers about workspaces."""

from typing import NotRequired, TypedDict

from posthorn.api.answers.fields import Count, Time
from posthorn.domain.workspace import WorkspaceStatus


class WorkspaceLimits(TypedDict, total=False):
    """Limits; 0 is none."""

    endpoints: Count
    """Webhooks and event destinations, disabled ones included."""
    endpointsPerHost: Count
    """Endpoints whose URLs have the same host."""
    configurationSets: Count
    """Configuration sets."""
    eventsPerSecond: Count
    """Events published per second. Unused seconds are kept, up to ten, and at least 100 events."""
    deliveriesPerRequest: Count
    """Events of one request times endpoints of the workspace. A single event is always accepted."""
    replays: Count
    """Bulk replays that are running or queued."""
    replaysPerEndpoint: Count
    """Bulk replays of one endpoint that are running or queued, without dry runs."""
    testSendsPerMinute: Count
    """Test events per minute."""


class Workspace(TypedDict):
    """A customer of the platform."""

    id: str
    """Identifies the workspace: `wksp_` and 26 characters."""
    uid: str
    """The platform's own id for it, which serves wherever the id does."""
    name: str
    """Its name; the uid if none was given."""
    metadata: dict[str, str]
    """What the platform keeps with it."""
    status: WorkspaceStatus
    """Whether it may publish events and send emails."""
    limits: WorkspaceLimits
    """The limits that differ from those of the installation."""
    createdAt: Time
    """When it was created."""


class WorkspaceResult(TypedDict):
    """One workspace."""

    workspace: Workspace
    """The workspace."""


class WorkspaceList(TypedDict):
    """A page of workspaces."""

    workspaces: list[Workspace]
    """The workspaces of this page, the oldest first."""
    nextCursor: NotRequired[str]
    """The `cursor` of the next page; absent on the last one."""
