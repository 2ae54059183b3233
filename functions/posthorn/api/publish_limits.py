"""Whether the workspaces of a request may publish its events now: their rates, and how many deliveries it would make."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from posthorn.api.limits import limit_reached, limits_of, too_fast
from posthorn.api.problems import FieldError
from posthorn.api.rates import rate_of_events

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from posthorn.api.http import Request
    from posthorn.api.services import Services
    from posthorn.domain.workspace_limits import WorkspaceLimits


def check(services: Services, request: Request, owners: Mapping[str, str]) -> None:
    """Refuse a request beyond a limit of one of its workspaces; `owners` has them by the pointers of the events."""
    numbers = Counter(owners.values())
    limits = {workspace: limits_of(services, workspace) for workspace in numbers}
    _check_deliveries(services, request, owners, numbers, limits)
    wanted = {
        workspace: (rate_of_events(limits[workspace].events_per_second), number)
        for workspace, number in numbers.items()
        if limits[workspace].events_per_second
    }
    if wanted and (waits := services.rates.take(wanted)):
        slowest = max(waits, key=waits.__getitem__)
        rate, _ = wanted[slowest]
        raise too_fast(
            rate.limit_name,
            rate.bucket.limit,
            retry_after=waits[slowest],
            errors=_errors(request, owners, waits, rate.limit_name),
        )


def _check_deliveries(
    services: Services,
    request: Request,
    owners: Mapping[str, str],
    numbers: Mapping[str, int],
    limits: Mapping[str, WorkspaceLimits],
) -> None:
    """Refuse a batch whose events times the endpoints of their workspace are too many.

    A single event is accepted in any case: its request cannot be split.
    """
    batches = [one for one, number in numbers.items() if number > 1 and limits[one].deliveries_per_request]
    endpoints = services.endpoint_numbers.of(batches) if batches else {}
    over = [one for one in batches if numbers[one] * endpoints[one] > limits[one].deliveries_per_request]
    if over:
        name = "deliveriesPerRequest"
        value = limits[over[0]].deliveries_per_request
        raise limit_reached(name, value, _errors(request, owners, over, name))


def _errors(
    request: Request, owners: Mapping[str, str], refused: Collection[str], name: str
) -> list[FieldError]:
    """Point to the workspaces that refuse the request, if its body names them."""
    if request.workspace:
        return []
    detail = f"Must be a workspace within its limit `{name}`."
    return [FieldError(f"{at}/workspace", detail) for at, owner in owners.items() if owner in refused]
