"""`/v1/webhooks`: the endpoints of a workspace."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Annotated, Final

from pydantic import Field, StringConstraints

from posthorn.api import bodies, idempotency
from posthorn.api.http import Answer, Request
from posthorn.api.route import Route
from posthorn.api.routes import endpoints, webhook_list, webhook_views
from posthorn.api.routes.endpoint_kinds import WEBHOOKS
from posthorn.api.routes.endpoints import EventNames, Url
from posthorn.api.routes.payload_formats import WebhookFormat
from posthorn.api.routes.secret_rotation import (
    FIRST_VERSION,
    HOUR_MS,
    Rotation,
    Secret,
    new_token,
    rotated,
    sealed,
    warn_about,
)
from posthorn.domain.api_key import Scope
from posthorn.domain.clock import rfc3339
from posthorn.domain.endpoint_kind import EndpointKind, PayloadFormat
from posthorn.domain.ids import WEBHOOK
from posthorn.domain.models import DisabledReason, Endpoint

if TYPE_CHECKING:
    from collections.abc import Callable

    from posthorn.api.answers.fields import Deleted
    from posthorn.api.answers.webhooks import (
        TokenRotationResult,
        WebhookCreationResult,
        WebhookResult,
        WebhookUpdateResult,
    )
    from posthorn.api.services import Services

_WHAT: Final = "webhook"

type Description = Annotated[str, StringConstraints(max_length=500), Field(description="A note of yours.")]
Enabled = Annotated[bool, Field(description="Whether events are delivered to it.")]
RetryRateLimited = Annotated[
    bool,
    Field(
        description="Whether 429 is retried like 5xx. Otherwise it fails the delivery, like any other 4xx."
    ),
]


class NewWebhook(bodies.Body):
    """The body of a request that creates a webhook."""

    url: Url
    events: EventNames
    token: Secret | None = Field(default=None, description="The signing token. By default, a random one.")
    enabled: Enabled = True
    description: Description | None = Field(default=None, description="A note of yours.")
    retry_rate_limited: RetryRateLimited = False
    format: WebhookFormat = PayloadFormat.EVENT_JSON


class WebhookChange(bodies.Body):
    """The fields to change; absent fields keep their values."""

    url: Url = ""
    events: EventNames = Field(default_factory=list[str])
    token: Secret = ""
    enabled: Enabled = True
    description: Description | None = Field(default=None, description="A note of yours.")
    retry_rate_limited: RetryRateLimited = False
    format: WebhookFormat = PayloadFormat.EVENT_JSON


def create_webhook(services: Services, request: Request) -> Answer[WebhookCreationResult]:
    wanted = bodies.validate(NewWebhook, bodies.parse(request))
    endpoints.check_events(wanted.events, _checker(services, request), "/events")
    url = endpoints.vetted(services, wanted.url, "/url")
    workspace = request.workspace

    def build(webhook_id: str, now_ms: int) -> Endpoint:
        token = wanted.token or new_token(services)
        return Endpoint(
            id=webhook_id,
            channel=workspace,
            workspace=workspace,
            kind=EndpointKind.WEBHOOK,
            format=wanted.format,
            url=url,
            events=tuple(wanted.events),
            secret=sealed(services, token, workspace=workspace, endpoint_id=webhook_id),
            created_at=now_ms,
            enabled=wanted.enabled,
            disabled_reason=None if wanted.enabled else DisabledReason.MANUAL,
            disabled_at=None if wanted.enabled else now_ms,
            description=wanted.description,
            retry_rate_limited=wanted.retry_rate_limited,
        )

    webhook = endpoints.create(services, request, prefix=WEBHOOK, channel=workspace, build=build)
    # A repetition finds the webhook as it is now. A token that replaced the first one is for keys that may GET it.
    may_see = webhook.secret.version <= FIRST_VERSION or Scope.USER in request.scopes
    token = services.unsealer.secret_of(webhook).decode() if may_see else None
    content: WebhookCreationResult = {"webhook": webhook_views.created_webhook(webhook, token)}
    warn_about(wanted.token, content, "/token")
    return Answer(content)


def retrieve_webhook(services: Services, request: Request) -> Answer[WebhookResult]:
    webhook = endpoints.find(
        services, request.workspace, request.path["webhookId"], prefix=WEBHOOK, what=_WHAT
    )
    return Answer({"webhook": webhook_views.with_current_token(services, webhook)})


def update_webhook(services: Services, request: Request) -> Answer[WebhookUpdateResult]:
    change = bodies.validate(WebhookChange, bodies.parse(request))
    webhook_id = request.path["webhookId"]
    # A missing webhook is a 404, whatever the change.
    before = endpoints.find(services, request.workspace, webhook_id, prefix=WEBHOOK, what=_WHAT)
    if "events" in change.model_fields_set:
        endpoints.check_events(change.events, _checker(services, request), "/events")
    if "url" in change.model_fields_set:
        change = change.model_copy(update={"url": endpoints.vetted(services, change.url, "/url")})
    missed = endpoints.undelivered(
        services, before, enable="enabled" in change.model_fields_set and change.enabled
    )
    webhook = endpoints.update(
        services,
        request.workspace,
        webhook_id,
        prefix=WEBHOOK,
        what=_WHAT,
        change=lambda old: _changed(services, old, change),
    )
    content: WebhookUpdateResult = {"webhook": webhook_views.with_current_token(services, webhook)}
    warn_about(change.token, content, "/token")
    if missed is not None:
        content["undelivered"] = WEBHOOKS.write(endpoints.shown_undelivered(missed))
    return Answer(content)


def rotate_webhook_token(services: Services, request: Request) -> Answer[TokenRotationResult]:
    """Rotate a webhook's token, once per idempotency key: the decided id is the secret's new version."""
    wanted = bodies.validate(Rotation, bodies.parse(request))
    webhook_id = request.path["webhookId"]
    before = endpoints.find(services, request.workspace, webhook_id, prefix=WEBHOOK, what=_WHAT)
    decision = idempotency.decide(services, request, [str(before.secret.version + 1)])
    until_ms = decision.decided_at + wanted.overlap_hours * HOUR_MS

    def change(old: Endpoint) -> Endpoint:
        version, target = old.secret.version, int(decision.ids[0])
        happened = version > target or (version == target and wanted.token is None)
        if decision.is_kept and happened:
            return old
        return rotated(services, old, wanted.token or new_token(services), until_ms=until_ms)

    webhook = endpoints.update(
        services, request.workspace, webhook_id, prefix=WEBHOOK, what=_WHAT, change=change
    )
    idempotency.finish(services, request, decision)
    content: TokenRotationResult = {"webhook": webhook_views.with_current_token(services, webhook)}
    warn_about(wanted.token, content, "/token")
    previous = webhook.previous_secret
    if previous is not None and previous.until > services.clock():
        content["previousTokenUntil"] = rfc3339(previous.until)
    return Answer(content)


def delete_webhook(services: Services, request: Request) -> Answer[Deleted]:
    endpoints.delete(services, request.workspace, request.path["webhookId"], prefix=WEBHOOK, what=_WHAT)
    return Answer({"deleted": True})


ROUTES: Final = (
    webhook_list.ROUTE,
    Route(
        "POST",
        "/v1/webhooks",
        Scope.API_USER,
        create_webhook,
        "Create a webhook",
        NewWebhook,
        status=201,
        note=(
            "A repetition with the same Idempotency-Key returns the webhook as it is now. If its token was rotated"
            " since, only a key that may retrieve the webhook gets `token`."
        ),
    ),
    Route("GET", "/v1/webhooks/{webhookId}", Scope.USER, retrieve_webhook, "Retrieve a webhook"),
    Route("PUT", "/v1/webhooks/{webhookId}", Scope.USER, update_webhook, "Update a webhook", WebhookChange),
    Route("DELETE", "/v1/webhooks/{webhookId}", Scope.USER, delete_webhook, "Delete a webhook"),
    Route(
        "POST",
        "/v1/webhooks/{webhookId}/rotate-token",
        Scope.USER,
        rotate_webhook_token,
        "Rotate a webhook's token",
        Rotation,
        note=(
            "For `overlapHours` the old token signs, too: `webhook-signature` has both signatures, the new one first."
            " Headers with a single signature use the new token at once."
        ),
    ),
)


def _checker(services: Services, request: Request) -> Callable[[str], None]:
    return lambda pattern: services.event_types.check_subscribed(request.workspace, pattern)


def _changed(services: Services, old: Endpoint, change: WebhookChange) -> Endpoint:
    """Return the webhook with the change applied; fields that were not given keep their values."""
    given = change.model_fields_set
    new = replace(
        old,
        events=tuple(change.events) if "events" in given else old.events,
        description=change.description if "description" in given else old.description,
        retry_rate_limited=(
            change.retry_rate_limited if "retry_rate_limited" in given else old.retry_rate_limited
        ),
        format=change.format if "format" in given else old.format,
    )
    now = services.clock()
    if "url" in given:
        new = endpoints.moved(new, url=change.url, now_ms=now)
    if "enabled" in given:
        new = endpoints.switched(new, on=change.enabled, now_ms=now)
    if "token" in given:
        new = rotated(services, new, change.token, until_ms=now)  # no overlap: the old token stops signing
    return new
