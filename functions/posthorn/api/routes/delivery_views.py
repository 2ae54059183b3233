"""How deliveries and their attempts are shown, with keys in snake_case; see `endpoint_kinds`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from posthorn.domain.clock import rfc3339_ms
from posthorn.domain.ids import made_at

if TYPE_CHECKING:
    from posthorn.api.routes.endpoint_kinds import EndpointResource
    from posthorn.api.routes.sent_requests import SentRequest
    from posthorn.domain.models import Attempt, Delivery
    from posthorn.stores.delivery_log import LogEntry


def entry(resource: EndpointResource, one: LogEntry) -> dict[str, Any]:
    """Show a log entry; one that this version cannot read shows only that."""
    if one.delivery is not None:
        return delivery(resource, one.delivery)
    event_id = one.key.event_id
    return resource.write(
        {"event_id": event_id, "created_at": rfc3339_ms(made_at(event_id)), "unreadable": True}
    )


def delivery(resource: EndpointResource, row: Delivery) -> dict[str, Any]:
    """Show a delivery with its last attempt."""
    shown: dict[str, Any] = {
        "event_id": row.key.event_id,
        "event": row.event_type,
        "status": row.status,
        "attempt_count": row.attempt,
        "generation": row.generation,
        "is_test": row.is_test,
        "created_at": rfc3339_ms(made_at(row.key.event_id)),
        **_standing(row),
    }
    if row.replay is not None:
        shown["replay"] = row.replay
    if row.attempts:
        shown["last_attempt"] = resource.write(attempt(row.attempts[-1]))
    return resource.write(shown)


def standing(resource: EndpointResource, row: Delivery) -> dict[str, Any]:
    """Show a delivery's status, as lists of events do."""
    return resource.write({"status": row.status, "attempt_count": row.attempt, **_standing(row)})


def attempt(one: Attempt) -> dict[str, Any]:
    """Show the outcome of an attempt."""
    outcome = one.outcome
    shown: dict[str, Any] = {
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
    return shown


def whole_attempt(resource: EndpointResource, one: Attempt, sent: SentRequest | None) -> dict[str, Any]:
    """Show an attempt in full; `sent` is None if its event has expired."""
    outcome, timings = one.outcome, one.outcome.timings
    request: dict[str, Any] | None = None
    if sent is not None:
        request = {
            "method": "POST",
            "url": sent.url,
            "headers": dict(sent.headers),
            "notes": list(sent.notes),
        }
    shown: dict[str, Any] = {
        **attempt(one),
        "timings": resource.write(
            {
                "dns": timings.dns,
                "connect": timings.connect,
                "tls": timings.tls,
                "first_byte": timings.first_byte,
                "total": timings.total,
            }
        ),
        "address": outcome.address,
        "request": request,
        "response": None,
    }
    if outcome.status is not None:
        shown["response"] = {
            "status": outcome.status,
            "headers": dict(outcome.headers),
            "body": outcome.snippet,
        }
    return resource.write(shown)


def _standing(row: Delivery) -> dict[str, Any]:
    shown: dict[str, Any] = {}
    if row.reason is not None:
        shown["reason"] = row.reason
    if row.next_attempt_at is not None:
        shown["next_attempt_at"] = rfc3339_ms(row.next_attempt_at)
    return shown
