"""How webhooks are shown."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from posthorn.domain.clock import rfc3339
from posthorn.domain.models import Health

if TYPE_CHECKING:
    from posthorn.api.answers.webhooks import CreatedWebhook, Webhook, WebhookWithToken
    from posthorn.api.services import Services
    from posthorn.domain.models import Endpoint


def webhook(one: Endpoint) -> Webhook:
    """Show a webhook without its token."""
    shown: Webhook = {
        "id": one.id,
        "url": one.url,
        "events": list(one.events),
        "createdAt": rfc3339(one.created_at),
        "enabled": one.enabled,
        "description": one.description,
        "retry_rate_limited": one.retry_rate_limited,
        "format": one.format,
    }
    if one.disabled_reason is not None and one.disabled_at is not None:
        shown["disabledReason"] = one.disabled_reason
        shown["disabledAt"] = rfc3339(one.disabled_at)
    if one.health is not Health.HEALTHY and one.health_since is not None:
        shown["health"] = one.health
        shown["healthSince"] = rfc3339(one.health_since)
    return shown


def webhook_with_token(one: Endpoint, token: str) -> WebhookWithToken:
    """Show a webhook to a caller who may know its token."""
    return {**webhook(one), "token": token}


def with_current_token(services: Services, one: Endpoint) -> WebhookWithToken:
    """Show a webhook with its token, which this decrypts."""
    return webhook_with_token(one, services.unsealer.secret_of(one).decode())


def created_webhook(one: Endpoint, token: str | None) -> CreatedWebhook:
    """Show a webhook to the caller who created it; without a token to one who may not know it."""
    shown = cast("CreatedWebhook", webhook(one))  # mypy cannot know that a Webhook has no other `token`
    if token is not None:
        shown["token"] = token
    return shown
