"""Which endpoints need somebody's attention: those that fail, and those that are disabled."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, Final

from posthorn.domain.models import DisabledReason, Health

if TYPE_CHECKING:
    from collections.abc import Mapping

    from posthorn.domain.models import Endpoint


class Trouble(StrEnum):
    """Why an endpoint needs attention."""

    FAILING = "failing"  # enabled, and no attempt succeeds
    DISABLED = "disabled"  # by Posthorn, since it failed
    MANUAL = "manual"  # disabled through the API


class HealthFilter(StrEnum):
    """Which endpoints a list shows."""

    FAILING = "failing"  # and those that were disabled for it
    DISABLED = "disabled"  # by anybody


TROUBLES: Final[Mapping[HealthFilter, tuple[Trouble, ...]]] = {
    HealthFilter.FAILING: (Trouble.FAILING, Trouble.DISABLED),
    HealthFilter.DISABLED: (Trouble.DISABLED, Trouble.MANUAL),
}


def trouble_of(endpoint: Endpoint) -> tuple[Trouble, int] | None:
    """Return the trouble of an endpoint and when it began; None if there is none."""
    if not endpoint.enabled:
        since = endpoint.created_at if endpoint.disabled_at is None else endpoint.disabled_at
        return disabled_trouble(endpoint.disabled_reason), since
    if endpoint.health is Health.FAILING and endpoint.health_since is not None:
        return Trouble.FAILING, endpoint.health_since
    return None


def disabled_trouble(reason: DisabledReason | None) -> Trouble:
    """Return the trouble of an endpoint that is disabled for a reason."""
    return Trouble.MANUAL if reason in {None, DisabledReason.MANUAL} else Trouble.DISABLED
