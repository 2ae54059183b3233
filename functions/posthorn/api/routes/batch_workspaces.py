"""The workspaces of the events in one request: that of the request, or those that the events name."""

from __future__ import annotations

from typing import TYPE_CHECKING

from posthorn.api.access import HEADER, workspace_required, workspace_suspended
from posthorn.api.problems import FieldError, invalid

if TYPE_CHECKING:
    from collections.abc import Mapping

    from posthorn.api.http import Request
    from posthorn.api.services import Services


def workspaces_of(services: Services, request: Request, named: Mapping[str, str | None]) -> list[str]:
    """Return the id of each event's workspace; `named` has the name that an event gives, by its JSON pointer.

    One event whose workspace is unknown, suspended or another than that of the request refuses all of them.
    """
    if request.workspace:
        _check_own(services, request.workspace, named)
        return [request.workspace] * len(named)
    if missing := [at for at, name in named.items() if name is None]:
        detail = f"Required, since the request has no header {HEADER}."
        raise workspace_required([FieldError(at, detail) for at in missing])
    found = services.workspaces.find_many(name for name in named.values() if name is not None)
    states = {at: found.get(name or "") for at, name in named.items()}
    if unknown := [at for at, state in states.items() if state is None]:
        raise invalid(
            [FieldError(at, "Must be the id or uid of a workspace.") for at in unknown], "unknown_workspace"
        )
    known = {at: state for at, state in states.items() if state is not None}
    if suspended := [at for at, state in known.items() if state.is_suspended]:
        raise workspace_suspended([FieldError(at, "Must be an active workspace.") for at in suspended])
    return [state.id for state in known.values()]


def _check_own(services: Services, workspace: str, named: Mapping[str, str | None]) -> None:
    """Refuse names of other workspaces, whether these exist or not."""
    others = {at: name for at, name in named.items() if name is not None}
    own = services.workspaces.find(workspace) if others else None
    if wrong := [at for at, name in others.items() if own is None or not own.is_named(name)]:
        detail = "Must be the workspace of the request, or be left out."
        raise invalid([FieldError(at, detail) for at in wrong], "workspace_mismatch")
