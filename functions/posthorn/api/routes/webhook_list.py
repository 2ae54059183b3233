"""`GET /v1/webhooks`: the webhooks of a workspace, or endpoints in trouble of all workspaces."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from posthorn.api.access import workspace_required
from posthorn.api.http import Answer, Request
from posthorn.api.route import PAGED, Route
from posthorn.api.routes import endpoints, troubled_endpoints, webhook_views
from posthorn.domain.api_key import Scope

if TYPE_CHECKING:
    from posthorn.api.answers.webhooks import WebhookList
    from posthorn.api.services import Services


def list_webhooks(services: Services, request: Request) -> Answer[WebhookList]:
    health = troubled_endpoints.read_filter(request)
    if not request.workspace:
        if health is None:
            raise workspace_required()
        return troubled_endpoints.of_all_workspaces(services, request, health)
    if health is None:
        page, cursor = endpoints.page(services, request, request.workspace)
    else:
        page, cursor = troubled_endpoints.of_channel(services, request, request.workspace, health)
    content: WebhookList = {"webhooks": [webhook_views.webhook(one) for one in page]}
    if cursor is not None:
        content["nextCursor"] = cursor
    return Answer(content)


ROUTE: Final = Route(
    "GET",
    "/v1/webhooks",
    Scope.API_USER,
    list_webhooks,
    "List webhooks",
    may_span_workspaces=True,
    query=(*PAGED, "health"),
    note=(
        "With a platform key and `health`, the header may be left out: `endpoints` then lists webhooks and event"
        " destinations of all workspaces, those that changed last first. A change of a moment ago may not show up yet."
    ),
)
