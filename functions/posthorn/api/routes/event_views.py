"""How the deliveries of an event are shown, and why it went to a webhook or not."""

from __future__ import annotations

from typing import TYPE_CHECKING

from posthorn.api.routes import delivery_views
from posthorn.api.routes.endpoint_kinds import WEBHOOKS
from posthorn.api.routes.match_explanations import SENTENCES
from posthorn.domain.clock import rfc3339
from posthorn.domain.ids import made_at
from posthorn.domain.matching import MatchReason
from posthorn.stores.deleted_endpoints import DeletedEndpoint

if TYPE_CHECKING:
    from posthorn.api.answers import events as answers
    from posthorn.api.routes.match_explanations import DeliveryRecord, MatchExplanation
    from posthorn.domain.models import Delivery, Endpoint


def delivery(
    one: Endpoint | DeletedEndpoint, record: DeliveryRecord
) -> answers.EventDelivery | answers.UnreadableEventDelivery:
    if record.delivery is None:
        return _unreadable(one)
    return WEBHOOKS.write(_readable(one, record.delivery))


def delivery_detail(
    one: Endpoint | DeletedEndpoint, record: DeliveryRecord
) -> answers.EventDeliveryDetail | answers.UnreadableEventDelivery:
    if record.delivery is None:
        return _unreadable(one)
    attempts = [delivery_views.attempt(WEBHOOKS, attempt) for attempt in record.delivery.attempts]
    shown: answers.EventDeliveryDetail = {**_readable(one, record.delivery), "attempts": attempts}
    return WEBHOOKS.write(shown)


def _readable(one: Endpoint | DeletedEndpoint, row: Delivery) -> answers.EventDelivery:
    shown: answers.EventDelivery = {
        "webhook_id": one.id,
        "status": row.status,
        "attempt_count": row.attempt,
    }
    if isinstance(one, DeletedEndpoint):
        shown["deleted_at"] = rfc3339(one.deleted_at)
    delivery_views.add_outlook(shown, row)
    return shown


def _unreadable(one: Endpoint | DeletedEndpoint) -> answers.UnreadableEventDelivery:
    shown: answers.UnreadableEventDelivery = {"webhook_id": one.id, "unreadable": True}
    if isinstance(one, DeletedEndpoint):
        shown["deleted_at"] = rfc3339(one.deleted_at)
    return WEBHOOKS.write(shown)


def hidden_match(endpoint_id: str) -> answers.Match:
    """Show an endpoint that this version cannot read: its deliveries wait until one can."""
    return {
        "webhookId": endpoint_id,
        "matched": False,
        "reason": MatchReason.UNREADABLE,
        "explanation": SENTENCES[MatchReason.UNREADABLE],
        "createdAt": rfc3339(made_at(endpoint_id)),
    }


def match(
    one: Endpoint | DeletedEndpoint, record: DeliveryRecord | None, judged: MatchExplanation
) -> answers.Match:
    shown: answers.Match = {
        "webhookId": one.id,
        "matched": judged.matched,
        "reason": judged.reason,
        "explanation": SENTENCES[judged.reason],
        "createdAt": rfc3339(one.created_at),
    }
    if judged.pattern is not None:
        shown["pattern"] = judged.pattern
    if isinstance(one, DeletedEndpoint):
        shown["deletedAt"] = rfc3339(one.deleted_at)
    elif one.disabled_reason is not None and one.disabled_at is not None:
        shown |= {"disabledReason": one.disabled_reason, "disabledAt": rfc3339(one.disabled_at)}
    if record is not None:
        row = record.delivery
        shown["delivery"] = {"unreadable": True} if row is None else WEBHOOKS.write(delivery_views.state(row))
    return shown
