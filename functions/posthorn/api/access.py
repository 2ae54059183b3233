"""Access: which key calls, whether it has the scope, and which workspace the request acts on.

A key of a workspace acts on its own. A platform key names the workspace in the header `Posthorn-Workspace`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from posthorn.api.authentication import require
from posthorn.api.problems import Problem, not_found
from posthorn.domain.api_key import PLATFORM, Scope
from posthorn.domain.workspace import MAX_UID, is_name

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from posthorn.api.problems import FieldError
    from posthorn.api.route import Route
    from posthorn.api.services import Services
    from posthorn.domain.api_key import ApiKey, RequiredScope

HEADER: Final = "Posthorn-Workspace"


@dataclass(frozen=True, slots=True)
class Caller:
    """What an API key may do in the workspace that a request acts on."""

    workspace: str = ""
    scopes: frozenset[Scope] = frozenset()
    key_valid_until: int | None = None


def admit(services: Services, route: Route, scope: RequiredScope, headers: Mapping[str, str]) -> Caller:
    """Return the caller of a route that requires a scope, or refuse the request."""
    key = services.keyring.authenticate(headers.get("authorization", ""))
    require(key, scope)
    named = _named(headers)
    if scope == PLATFORM:
        if named is not None:
            detail = f"`{HEADER}` must be left out: this operation acts on the installation."
            raise Problem(400, "unexpected_workspace", detail)
        return Caller(key_valid_until=key.valid_until)
    is_optional = route.may_name_workspaces or route.may_span_workspaces
    workspace = _workspace(services, key, named, is_optional=is_optional)
    if workspace and route.needs_active_workspace:
        _check_active(services, workspace)
    return Caller(workspace, frozenset(Scope) if key.is_platform else key.scopes, key.valid_until)


def workspace_required(errors: Sequence[FieldError] = ()) -> Problem:
    detail = f"A platform key must name the workspace in the header `{HEADER}`, by its id or uid."
    return Problem(400, "workspace_required", detail, errors=errors)


def workspace_suspended(errors: Sequence[FieldError] = ()) -> Problem:
    detail = "The workspace must be active to publish events and send emails, and it is suspended."
    return Problem(403, "workspace_suspended", detail, errors=errors)


def _named(headers: Mapping[str, str]) -> str | None:
    name = headers.get(HEADER.lower())  # API Gateway joins repeated headers with commas, which no name has
    if name is not None and not is_name(name):
        detail = (
            f"`{HEADER}` must be sent once and name one workspace: 1 to {MAX_UID} letters, digits and `._:-`."
        )
        raise Problem(400, "invalid_workspace", detail)
    return name


def _workspace(services: Services, key: ApiKey, named: str | None, *, is_optional: bool) -> str:
    """Return the id of the workspace to act on; empty if the body names it, or if the request acts on all."""
    if key.workspace is not None:
        if named not in {None, key.workspace} and not _is_uid_of(services, key.workspace, named):
            raise not_found("workspace")
        return key.workspace
    if named is None:
        if is_optional:
            return ""
        raise workspace_required()
    found = services.workspaces.find(named)
    if found is None:
        raise not_found("workspace")
    return found.id


def _is_uid_of(services: Services, workspace: str, name: str | None) -> bool:
    """Look up only the key's own workspace: the time that an answer takes must not reveal others."""
    own = services.workspaces.find(workspace)
    return own is not None and own.uid == name


def _check_active(services: Services, workspace: str) -> None:
    found = services.workspaces.find(workspace)
    if found is None:
        raise not_found("workspace")
    if found.is_suspended:
        raise workspace_suspended()
