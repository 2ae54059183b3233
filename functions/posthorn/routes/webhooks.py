"""`/v1/webhooks`: the endpoints that listen to a workspace."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Annotated, Any, Final

from pydantic import Field, StringConstraints

from posthorn import matching
from posthorn.api_keys import Scope
from posthorn.catalogue import built_in
from posthorn.clock import rfc3339
from posthorn.errors import NameNotResolved, RefusedEventType, RefusedTarget
from posthorn.ids import WEBHOOK, is_id
from posthorn.models import DisabledReason, Endpoint, Wire
from posthorn.routes import bodies, cursors, idempotent
from posthorn.routes.problems import FieldError, Problem, invalid, not_found
from posthorn.routes.route import Answer, Request, Route
from posthorn.transport.addresses import parse_target
from posthorn.transport.names import resolve
from posthorn.wire.signing import MAX_SECRET_LENGTH, MIN_SECRET_LENGTH

if TYPE_CHECKING:
    from collections.abc import Sequence

    from posthorn.routes.office import Office

MAX_EVENTS: Final = 100
LOOKUP_SECONDS: Final = 2.0
"""Time for the lookup at registration; a name that has no answer yet is checked again at every attempt."""

_TOKEN_PREFIX: Final = "wht_"  # noqa: S105 - the part that everybody may know
_CHANGES_AT_ONCE: Final = 5

type Url = Annotated[str, StringConstraints(min_length=1, max_length=2048)]
type EventNames = Annotated[list[str], Field(min_length=1, max_length=MAX_EVENTS)]
# no control characters: a token is pasted into consoles and environment files
type Token = Annotated[
    str,
    StringConstraints(
        min_length=MIN_SECRET_LENGTH, max_length=MAX_SECRET_LENGTH, pattern=r"^[^\x00-\x1f\x7f]*$"
    ),
]
type Description = Annotated[str, StringConstraints(max_length=500)]


class NewWebhook(bodies.Body):
    """What a webhook is made from."""

    url: Url
    events: EventNames
    token: Token | None = None
    enabled: bool = True
    description: Description | None = None
    retry_rate_limited: bool = False


class WebhookChange(bodies.Body):
    """What is to change; whatever is absent stays."""

    url: Url = ""
    events: EventNames = Field(default_factory=list[str])
    token: Token = ""
    enabled: bool = True
    description: Description | None = None
    retry_rate_limited: bool = False


def list_webhooks(office: Office, request: Request) -> Answer:
    limit, after = cursors.read_limit(request), office.cursors.read(request)
    page, last = office.endpoints.page(request.workspace, after=after, limit=limit)
    content: dict[str, Any] = {"webhooks": [_shown(webhook) for webhook in page]}
    if last is not None:
        content["nextCursor"] = office.cursors.write(request, last)
    return Answer(content)


def create_webhook(office: Office, request: Request) -> Answer:
    wanted = bodies.validate(NewWebhook, bodies.parse(request))
    _check_events(wanted.events)
    url = _vetted(office, wanted.url)
    decision = idempotent.decide(office, request, [office.new_id(WEBHOOK)])
    webhook_id = decision.ids[0]
    if not decision.is_new and (webhook := office.endpoints.get(request.workspace, webhook_id)):
        return Answer({"webhook": _shown_with_token(office, webhook)}, 201)
    if decision.is_done:
        raise Problem(
            409, "idempotency_key_reused", "The webhook made under this Idempotency-Key was deleted."
        )
    token = wanted.token or _new_token(office)
    webhook = Endpoint(
        id=webhook_id,
        channel=request.workspace,
        workspace=request.workspace,
        wire=Wire.SMASHSEND,
        url=url,
        events=tuple(wanted.events),
        secret=office.sealer.seal(token, workspace=request.workspace, endpoint_id=webhook_id, version=1),
        created_at=decision.decided_at,
        enabled=wanted.enabled,
        disabled_reason=None if wanted.enabled else DisabledReason.MANUAL,
        disabled_at=None if wanted.enabled else decision.decided_at,
        description=wanted.description,
        retry_rate_limited=wanted.retry_rate_limited,
    )
    if not office.endpoints.create(webhook):  # a repetition of this request was faster
        webhook = _get(office, request, webhook_id)
        token = office.unsealer.secret_of(webhook).decode()
    idempotent.finish(office, request, decision)
    return Answer({"webhook": _shown(webhook, token)}, 201)


def retrieve_webhook(office: Office, request: Request) -> Answer:
    return Answer({"webhook": _shown_with_token(office, _get(office, request, request.path["webhookId"]))})


def update_webhook(office: Office, request: Request) -> Answer:
    change = bodies.validate(WebhookChange, bodies.parse(request))
    webhook_id = request.path["webhookId"]
    _get(office, request, webhook_id)  # what is not there is 404, whatever the change
    if "events" in change.model_fields_set:
        _check_events(change.events)
    if "url" in change.model_fields_set:
        change = change.model_copy(update={"url": _vetted(office, change.url)})
    for _ in range(_CHANGES_AT_ONCE):
        old = _get(office, request, webhook_id)
        new = _changed(office, old, change)
        if office.endpoints.replace(old, new):
            return Answer({"webhook": _shown_with_token(office, new)})
    raise Problem(409, "concurrent_changes", "Others are changing this webhook right now; try again.")


def delete_webhook(office: Office, request: Request) -> Answer:
    webhook_id = request.path["webhookId"]
    if not is_id(webhook_id, WEBHOOK) or not office.endpoints.delete(request.workspace, webhook_id):
        raise not_found("webhook")
    return Answer({"deleted": True})


ROUTES: Final = (
    Route("GET", "/v1/webhooks", Scope.API_USER, list_webhooks, "List webhooks"),
    Route("POST", "/v1/webhooks", Scope.API_USER, create_webhook, "Create a webhook", NewWebhook),
    Route("GET", "/v1/webhooks/{webhookId}", Scope.USER, retrieve_webhook, "Retrieve a webhook"),
    Route("PUT", "/v1/webhooks/{webhookId}", Scope.USER, update_webhook, "Update a webhook", WebhookChange),
    Route("DELETE", "/v1/webhooks/{webhookId}", Scope.USER, delete_webhook, "Delete a webhook"),
)


def _get(office: Office, request: Request, webhook_id: str) -> Endpoint:
    webhook = office.endpoints.get(request.workspace, webhook_id) if is_id(webhook_id, WEBHOOK) else None
    if webhook is None:
        raise not_found("webhook")
    return webhook


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
    if "enabled" in given and change.enabled:
        new = replace(new, enabled=True, disabled_reason=None, disabled_at=None)
    elif "enabled" in given and old.enabled:
        new = replace(new, enabled=False, disabled_reason=DisabledReason.MANUAL, disabled_at=office.clock())
    if "token" in given:
        version = old.secret.version + 1
        sealed = office.sealer.seal(
            change.token, workspace=old.workspace, endpoint_id=old.id, version=version
        )
        new = replace(new, secret=sealed)
    return new


def _check_events(patterns: Sequence[str]) -> None:
    errors: list[FieldError] = []
    code = ""
    for index, pattern in enumerate(patterns):
        try:
            matching.check_subscribed(pattern, built_in())
        except RefusedEventType as refusal:
            errors.append(FieldError(bodies.pointer(["events", index]), refusal.detail))
            code = code or refusal.code
    if errors:
        raise invalid(errors, code)


def _vetted(office: Office, url: str) -> str:
    """Return the URL as it is stored, if deliveries may go there."""
    try:
        target = parse_target(url, office.policy)
        resolve(target, office.policy, timeout=LOOKUP_SECONDS, resolver=office.resolver)
    except RefusedTarget as refusal:
        raise invalid([FieldError("/url", refusal.detail)], refusal.code) from refusal
    except NameNotResolved:
        pass  # it may not be in DNS yet
    return target.url


def _new_token(office: Office) -> str:
    return _TOKEN_PREFIX + office.dice(32).hex()


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
