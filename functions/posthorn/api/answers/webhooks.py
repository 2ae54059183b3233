"""Answers about webhooks."""

from typing import NotRequired, TypedDict

from posthorn.api.answers.fields import Count, Time, Warned, spelled_by_kind
from posthorn.domain.endpoint_kind import EndpointKind, PayloadFormat
from posthorn.domain.models import DisabledReason, Health
from posthorn.domain.trouble import HealthFilter


class Webhook(TypedDict):
    """A URL that receives events of the workspace."""

    id: str
    """Identifies the webhook: `wh_` and 26 characters."""
    url: str
    """Where deliveries are sent."""
    events: list[str]
    """The event types it is subscribed to; `*` stands for all, `contact.*` for all that begin that way."""
    createdAt: Time
    """When it was created."""
    enabled: bool
    """Whether events are delivered to it."""
    description: str | None
    """Its owner's note."""
    retry_rate_limited: bool
    """Whether 429 is retried like 5xx. Otherwise it fails the delivery, like any other 4xx."""
    format: PayloadFormat
    """The format of the body."""
    disabledReason: NotRequired[DisabledReason]
    """Why it is disabled; only while it is."""
    disabledAt: NotRequired[Time]
    """When it was disabled; only while it is."""
    health: NotRequired[Health]
    """How its receiver has been doing lately; absent while it is healthy."""
    healthSince: NotRequired[Time]
    """Since when it has that health; absent while it is healthy."""


class WebhookWithToken(Webhook):
    """A webhook with the token that its deliveries are signed with."""

    token: str
    """The signing token. Keep it secret."""


class CreatedWebhook(Webhook):
    """A webhook as the request that created it sees it."""

    token: NotRequired[str]
    """The signing token. Keep it secret. Absent from a repetition after a rotation, unless the key may retrieve it."""


@spelled_by_kind
class Undelivered(TypedDict):
    """How many deliveries did not reach an endpoint while it was disabled. A bulk replay sends them again."""

    count: Count
    """The number of deliveries that were counted."""
    is_more: bool
    """Whether there are more than were counted."""


class WorkspaceName(TypedDict):
    """The workspace that something belongs to."""

    id: str
    """Identifies the workspace."""
    uid: str | None
    """The platform's own id for it; null if the workspace was deleted a moment ago."""


class TroubledEndpoint(TypedDict):
    """A webhook or event destination of any workspace that fails or is disabled."""

    id: str
    """Identifies the endpoint."""
    kind: EndpointKind
    """Whether it is a webhook or an event destination."""
    host: str
    """The host of its URL."""
    workspace: WorkspaceName
    """The workspace that it belongs to."""
    health: HealthFilter
    """Whether it fails, or is disabled."""
    since: Time
    """Since when."""
    disabledReason: NotRequired[DisabledReason]
    """Why it is disabled; only while it is."""


class WebhookList(TypedDict):
    """A page of webhooks."""

    webhooks: list[Webhook]
    """The webhooks of this page, without those that only a newer version of Posthorn can read, after a rollback; empty if
    the request acts on all workspaces."""
    endpoints: NotRequired[list[TroubledEndpoint]]
    """Only if the request acts on all workspaces: the endpoints of this page, those that changed last first."""
    nextCursor: NotRequired[str]
    """The `cursor` of the next page; absent on the last one."""


class WebhookResult(TypedDict):
    """One webhook."""

    webhook: WebhookWithToken
    """The webhook as it is now."""


class WebhookCreationResult(Warned):
    """The webhook that the request, or the one that it repeats, created."""

    webhook: CreatedWebhook
    """The webhook as it is now."""


class WebhookUpdateResult(WebhookResult, Warned):
    """The webhook after the change."""

    undelivered: NotRequired[Undelivered]
    """Only when this request enabled the webhook: what it missed."""


class TokenRotationResult(WebhookResult, Warned):
    """The webhook with its new token."""

    previousTokenUntil: NotRequired[Time]
    """Until when deliveries are also signed with the previous token; absent when it no longer signs."""
