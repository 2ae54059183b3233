"""How a workspace looks to those who read it."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from posthorn.domain.clock import rfc3339

if TYPE_CHECKING:
    from posthorn.api.answers import workspaces as answers
    from posthorn.domain.workspace import Workspace


def workspace(one: Workspace) -> answers.Workspace:
    return {
        "id": one.id,
        "uid": one.uid,
        "name": one.name,
        "metadata": dict(one.metadata),
        "status": one.status,
        "limits": cast("answers.WorkspaceLimits", dict(one.limits)),
        "createdAt": rfc3339(one.created_at),
    }
