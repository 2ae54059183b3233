"""Workspaces: one for each customer of the platform that runs this installation."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

from posthorn.domain.ids import WORKSPACE, is_id

MAX_UID: Final = 128
NAME_PATTERN: Final = rf"^[A-Za-z0-9._:-]{{1,{MAX_UID}}}$"
"""What the id or the uid of a workspace looks like."""

UID_RULE: Final = (
    f"1 to {MAX_UID} letters, digits and `._:-`, and must not begin with `{WORKSPACE}_`, which ids begin with"
)

_NAME: Final = re.compile(NAME_PATTERN)
_NO_PATH_SEGMENT: Final = {".", ".."}  # clients resolve them before they send a URL


class WorkspaceStatus(StrEnum):
    """Whether a workspace may publish events and send emails."""

    ACTIVE = "active"
    SUSPENDED = "suspended"
    DELETING = "deleting"  # until it and all that belongs to it is gone; no request can act on it any more


@dataclass(frozen=True, slots=True)
class WorkspaceState:
    """What a request needs to know of the workspace that it acts on."""

    id: str
    uid: str
    status: WorkspaceStatus
    limits: Mapping[str, int]

    @property
    def is_suspended(self) -> bool:
        return self.status is WorkspaceStatus.SUSPENDED

    @property
    def is_deleting(self) -> bool:
        return self.status is WorkspaceStatus.DELETING

    def is_named(self, name: str) -> bool:
        """Return whether this is its id or its uid."""
        return name in {self.id, self.uid}


@dataclass(frozen=True, slots=True)
class Workspace:
    """A customer of the platform. `uid` is the platform's own id for it, and never changes."""

    id: str
    uid: str
    name: str
    created_at: int
    status: WorkspaceStatus = WorkspaceStatus.ACTIVE
    metadata: Mapping[str, str] = field(default_factory=dict[str, str])
    limits: Mapping[str, int] = field(default_factory=dict[str, int])
    revision: int = 1  # incremented by every change; a change replaces only the revision it read

    @property
    def state(self) -> WorkspaceState:
        return WorkspaceState(self.id, self.uid, self.status, self.limits)


def is_name(text: str) -> bool:
    """Return whether a text can be the id or the uid of a workspace."""
    return _NAME.fullmatch(text) is not None


def is_workspace_id(text: str) -> bool:
    return is_id(text, WORKSPACE)


def is_uid(text: str) -> bool:
    """Return whether a text can be a uid. Nothing that begins like an id can, so that no name means two workspaces."""
    return is_name(text) and not text.startswith(f"{WORKSPACE}_") and text not in _NO_PATH_SEGMENT
