"""How deliveries and their attempts are shown, with keys in snake_case; see `endpoint_kinds`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from posthorn.domain.clock import rfc3339_ms
from posthorn.domain.ids import made_at

if TYPE_CHECKING:
    from posthorn.api.answers import deliveries as answers
    from posthorn.api.routes.endpoint_kinds import EndpointResource
    from posthorn.api.routes.sent_requests import SentRequest
    from posthorn.domain.models import Attempt, Delivery
    from posthorn.stores.delivery_log import LogEntry


def entry(resource: EndpointResource, one: LogEntry) -> answers.Delivery | answers.UnreadableDelivery:
    """Show a log entry; one that this version cannot read shows only that."""
    if one.delivery is not None:
        return delivery(resource, one.delivery)
    event_id = one.key.event_id
    unreadable: answers.UnreadableDelivery = {
        "event_id": event_id,
        "created_at": rfc3339_ms(made_at(event_id)),
        "unreadable": True,
    }
    return resource.write(unreadable)


def delivery(resource: EndpointResource, row: Delivery) -> answers.Delivery:
    """Show a delivery with its last attempt."""
    return resource.write(_delivery(resource, row))


def whole_delivery(
    resource: EndpointResource,
    row: Delivery,
    *,
    attempts: list[answers.AttemptDetail],
    request_body: str | None,
    curl: str | None,
    notes: list[str],
) -> answers.DeliveryDetail:
    """Show a delivery with its attempts and what is the same for all of them."""
    whole: answers.DeliveryDetail = {
        **_delivery(resource, row),
        "attempts": attempts,
        "request_body": request_body,
        "curl": curl,
        "notes": notes,
    }
    return resource.write(whole)


def state(row: Delivery) -> answers.DeliveryState:
    """Show the state of one event at one endpoint, in our own spelling of the keys."""
    shown: answers.DeliveryState = {"status": row.status, "attempt_count": row.attempt}
    add_outlook(shown, row)
    return shown


def add_outlook(shown: answers.DeliveryState, row: Delivery) -> None:
    """Add why a delivery failed, or when its next attempt is due."""
    if row.reason is not None:
        shown["reason"] = row.reason
    if row.next_attempt_at is not None:
        shown["next_attempt_at"] = rfc3339_ms(row.next_attempt_at)


def attempt(resource: EndpointResource, one: Attempt) -> answers.Attempt:
    """Show what came of an attempt."""
    return resource.write(_attempt(one))


def whole_attempt(
    resource: EndpointResource, one: Attempt, sent: SentRequest | None
) -> answers.AttemptDetail:
    """Show all that is known of an attempt; `sent` is None when its event is gone."""
    outcome, timings = one.outcome, one.outcome.timings
    shown_timings: answers.Timings = {
        "dns": timings.dns,
        "connect": timings.connect,
        "tls": timings.tls,
        "first_byte": timings.first_byte,
        "total": timings.total,
    }
    shown: answers.AttemptDetail = {
        **_attempt(one),
        "timings": resource.write(shown_timings),
        "address": outcome.address,
        "request": None,
        "response": None,
    }
    if sent is not None:
        shown["request"] = {
            "method": "POST",
            "url": sent.url,
            "headers": dict(sent.headers),
            "notes": list(sent.notes),
        }
    if outcome.status is not None:
        shown["response"] = {
            "status": outcome.status,
            "headers": dict(outcome.headers),
            "body": outcome.snippet,
        }
    return resource.write(shown)


def _delivery(resource: EndpointResource, row: Delivery) -> answers.Delivery:
    shown: answers.Delivery = {
        "event_id": row.key.event_id,
        "event": row.event_type,
        "status": row.status,
        "attempt_count": row.attempt,
        "generation": row.generation,
        "is_test": row.is_test,
        "created_at": rfc3339_ms(made_at(row.key.event_id)),
    }
    add_outlook(shown, row)
    if row.replay is not None:
        shown["replay"] = row.replay
    if row.attempts:
        shown["last_attempt"] = attempt(resource, row.attempts[-1])
    return shown


def _attempt(one: Attempt) -> answers.Attempt:
    outcome = one.outcome
    shown: answers.Attempt = {
        "attempt": one.number,
        "generation": one.generation,
        "started_at": rfc3339_ms(one.started_at),
        "latency_ms": outcome.timings.total,
    }
    if outcome.status is not None:
        shown["status"] = outcome.status
    if outcome.failure is not None:
        shown["failure"] = outcome.failure
        shown["error"] = outcome.error
    elif outcome.error is not None:
        shown["note"] = outcome.error
    return shown
