"""Lists of endpoints that fail or are disabled: those of a workspace, and of all workspaces."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from posthorn.api.http import Answer
from posthorn.api.routes.deliveries import invalid_filter
from posthorn.domain.clock import rfc3339
from posthorn.domain.endpoint_kind import EndpointKind
from posthorn.domain.models import DisabledReason
from posthorn.domain.trouble import TROUBLES, HealthFilter, Trouble, trouble_of

if TYPE_CHECKING:
    from posthorn.api.answers import webhooks as answers
    from posthorn.api.http import Request
    from posthorn.api.services import Services
    from posthorn.domain.models import Endpoint
    from posthorn.stores.troubled_endpoints import TroubledEndpoint


def read_filter(request: Request) -> HealthFilter | None:
    """Return the filter of a request, None if it has none."""
    text = request.query.get("health")
    if text is None:
        return None
    if text not in frozenset(HealthFilter):
        raise invalid_filter("health", f"`health` must be one of {', '.join(HealthFilter)}.")
    return HealthFilter(text)


def of_all_workspaces(
    services: Services, request: Request, health: HealthFilter
) -> Answer[answers.WebhookList]:
    page, cursor = services.cursors.page(request, partial(services.troubled_endpoints.page, TROUBLES[health]))
    states = services.workspaces.find_many(one.workspace for one in page)
    uids = {name: state.uid for name, state in states.items()}
    shown = [_shown(one, uids.get(one.workspace)) for one in page]
    content: answers.WebhookList = {"webhooks": [], "endpoints": shown}
    if cursor is not None:
        content["nextCursor"] = cursor
    return Answer(content)


def of_channel(
    services: Services, request: Request, channel: str, health: HealthFilter
) -> tuple[list[Endpoint], str | None]:
    """Return the page of a channel's endpoints that a request asks for; all but the last page are full."""
    wanted = TROUBLES[health]

    def read(*, after: str | None, limit: int) -> tuple[list[Endpoint], str | None]:
        found: list[Endpoint] = []
        while True:
            page, after = services.endpoints.page(channel, after=after)
            found += [one for one in page if (trouble := trouble_of(one)) and trouble[0] in wanted]
            if len(found) > limit:
                return found[:limit], found[limit - 1].id
            if after is None:
                return found, None

    return services.cursors.page(request, read)


def _shown(one: TroubledEndpoint, uid: str | None) -> answers.TroubledEndpoint:
    is_failing = one.trouble is Trouble.FAILING
    shown: answers.TroubledEndpoint = {
        "id": one.id,
        "kind": EndpointKind(one.kind),
        "host": one.host,
        "workspace": {"id": one.workspace, "uid": uid},
        "health": HealthFilter.FAILING if is_failing else HealthFilter.DISABLED,
        "since": rfc3339(one.since),
    }
    if not is_failing:
        # a reason that only a later version knows is shown as in other lists
        reason = one.disabled_reason or ""
        known = reason in frozenset(DisabledReason)
        shown["disabledReason"] = DisabledReason(reason) if known else DisabledReason.MANUAL
    return shown
