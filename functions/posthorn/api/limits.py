"""The limits that apply to a workspace, and the answer to a request beyond one."""

from __future__ import annotations

from typing import TYPE_CHECKING

from posthorn.api.problems import Problem

if TYPE_CHECKING:
    from collections.abc import Sequence

    from posthorn.api.problems import FieldError
    from posthorn.api.services import Services
    from posthorn.domain.workspace_limits import WorkspaceLimits


def limits_of(services: Services, workspace: str) -> WorkspaceLimits:
    """Return the limits of a workspace, as this process has known them for up to 30 seconds."""
    found = services.workspaces.find(workspace)
    return services.limits if found is None else services.limits.changed_by(found.limits)


def limit_reached(name: str, value: int, errors: Sequence[FieldError] = ()) -> Problem:
    detail = f"Must stay within the workspace's limit `{name}`, which is {value}."
    return Problem(422, "limit_reached", detail, errors=errors)


def too_fast(name: str, value: int, *, retry_after: int, errors: Sequence[FieldError] = ()) -> Problem:
    detail = f"Must stay within the workspace's limit `{name}`, which is {value}. Retry after `Retry-After` seconds."
    return Problem(429, "rate_limited", detail, errors=errors, retry_after=retry_after)
