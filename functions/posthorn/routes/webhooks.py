"""`/v1/webhooks`: the endpoints that listen to a workspace."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Annotated, Any, Final

from pydantic import Field, StringConstraints

from posthorn.api_keys import Scope
from posthorn.catalogue import built_in
from posthorn.clock import rfc3339
from posthorn.ids import WEBHOOK
from posthorn.models import DisabledReason, Endpoint, Wire
from posthorn.routes import bodies, endpoints
from posthorn.routes.endpoints import EventNames, Secret, Url
from posthorn.routes.route import Answer, Request, Route

if TYPE_CHECKING:
    from posthorn.routes.office import Office

_TOKEN_PREFIX: Final = "wht_"  # noqa: S105 - the part that everybody may know
_WHAT: Final = "webhook"

type Description = Annotated[str, StringConstraints(max_length=500)]


class NewWebhook(bodies.Body):
    """What a webhook is made from."""

    url: Url
    events: EventNames
    token: Secret | None = None
    enabled: bool = True
    description: Description | None = None
    retry_rate_limited: bool = False


class WebhookChange(bodies.Body):
    """What is to change; whatever is absent stays."""

    url: Url = ""
    events: EventNames = Field(default_factory=list[str])
    token: Secret = ""
    enabled: bool = True
    description: Description | None = None
    retry_rate_limited: bool = False


def list_webhooks(office: Office, request: Request) -> Answer:
    page, cursor = endpoints.page(office, request, request.workspace)
    content: dict[str, Any] = {"webhooks": [_shown(webhook) for webhook in page]}
    if cursor is not None:
        content["nextCursor"] = cursor
    return Answer(content)


def create_webhook(office: Office, request: Request) -> Answer:
    wanted = bodies.validate(NewWebhook, bodies.parse(request))
    endpoints.check_events(wanted.events, built_in(), "/events")
    url = endpoints.vetted(office, wanted.url, "/url")
    workspace = request.workspace

    def build(webhook_id: str, now_ms: int) -> Endpoint:
        token = wanted.token or _TOKEN_PREFIX + office.dice(32).hex()
        return Endpoint(
            id=webhook_id,
            channel=workspace,
            workspace=workspace,
            wire=Wire.SMASHSEND,
            url=url,
            events=tuple(wanted.events),
            secret=endpoints.sealed(office, token, workspace=workspace, endpoint_id=webhook_id),
            created_at=now_ms,
            enabled=wanted.enabled,
            disabled_reason=None if wanted.enabled else DisabledReason.MANUAL,
            disabled_at=None if wanted.enabled else now_ms,
            description=wanted.description,
            retry_rate_limited=wanted.retry_rate_limited,
        )

    webhook = endpoints.create(office, request, prefix=WEBHOOK, channel=workspace, build=build)
    return Answer({"webhook": _shown_with_token(office, webhook)}, 201)


def retrieve_webhook(office: Office, request: Request) -> Answer:
    webhook = endpoints.find(office, request.workspace, request.path["webhookId"], prefix=WEBHOOK, what=_WHAT)
    return Answer({"webhook": _shown_with_token(office, webhook)})


def update_webhook(office: Office, request: Request) -> Answer:
    change = bodies.validate(WebhookChange, bodies.parse(request))
    webhook_id = request.path["webhookId"]
    # what is not there is 404, whatever the change
    endpoints.find(office, request.workspace, webhook_id, prefix=WEBHOOK, what=_WHAT)
    if "events" in change.model_fields_set:
        endpoints.check_events(change.events, built_in(), "/events")
    if "url" in change.model_fields_set:
        change = change.model_copy(update={"url": endpoints.vetted(office, change.url, "/url")})
    webhook = endpoints.update(
        office,
        request.workspace,
        webhook_id,
        prefix=WEBHOOK,
        what=_WHAT,
        change=lambda old: _changed(office, old, change),
    )
    return Answer({"webhook": _shown_with_token(office, webhook)})


def delete_webhook(office: Office, request: Request) -> Answer:
    endpoints.delete(office, request.workspace, request.path["webhookId"], prefix=WEBHOOK, what=_WHAT)
    return Answer({"deleted": True})


ROUTES: Final = (
    Route("GET", "/v1/webhooks", Scope.API_USER, list_webhooks, "List webhooks"),
    Route("POST", "/v1/webhooks", Scope.API_USER, create_webhook, "Create a webhook", NewWebhook),
    Route("GET", "/v1/webhooks/{webhookId}", Scope.USER, retrieve_webhook, "Retrieve a webhook"),
    Route("PUT", "/v1/webhooks/{webhookId}", Scope.USER, update_webhook, "Update a webhook", WebhookChange),
    Route("DELETE", "/v1/webhooks/{webhookId}", Scope.USER, delete_webhook, "Delete a webhook"),
)


def _changed(office: Office, old: Endpoint, change: WebhookChange) -> Endpoint:
    """Return the webhook as it is after the change; what was not given stays."""
    given = change.model_fields_set
    new = replace(
        old,
        revision=old.revision + 1,
        url=change.url if "url" in given else old.url,
        events=tuple(change.events) if "events" in given else old.events,
        description=change.description if "description" in given else old.description,
        retry_rate_limited=(
            change.retry_rate_limited if "retry_rate_limited" in given else old.retry_rate_limited
        ),
    )
    new = endpoints.moved(old, new, now_ms=office.clock())
    if "enabled" in given:
        new = endpoints.switched(new, on=change.enabled, now_ms=office.clock())
    if "token" in given:
        secret = endpoints.sealed(
            office,
            change.token,
            workspace=old.workspace,
            endpoint_id=old.id,
            version=old.secret.version + 1,
        )
        new = replace(new, secret=secret)
    return new


def _shown_with_token(office: Office, webhook: Endpoint) -> dict[str, Any]:
    return _shown(webhook, office.unsealer.secret_of(webhook).decode())


def _shown(webhook: Endpoint, token: str | None = None) -> dict[str, Any]:
    shown: dict[str, Any] = {"id": webhook.id, "url": webhook.url, "events": list(webhook.events)}
    if token is not None:
        shown["token"] = token
    shown |= {
        "createdAt": rfc3339(webhook.created_at),
        "enabled": webhook.enabled,
        "description": webhook.description,
        "retry_rate_limited": webhook.retry_rate_limited,
    }
    if webhook.disabled_reason is not None and webhook.disabled_at is not None:
        shown |= {"disabledReason": webhook.disabled_reason, "disabledAt": rfc3339(webhook.disabled_at)}
    return shown
