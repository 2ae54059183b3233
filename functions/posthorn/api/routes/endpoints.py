"""What webhooks and event destinations have in common: both are endpoints."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Annotated, Final

from pydantic import Field, StringConstraints

from posthorn.api import idempotency
from posthorn.api.bodies import pointer
from posthorn.api.limits import limits_of
from posthorn.api.problems import FieldError, Problem, invalid, not_found
from posthorn.delivery import operational_events
from posthorn.domain.compare_and_set import compare_and_set
from posthorn.domain.errors import Malformed, NameNotResolved, RefusedEventType, RefusedTarget, Unavailable
from posthorn.domain.ids import is_id
from posthorn.domain.limits import MAX_EVENTS
from posthorn.domain.models import DisabledReason, Health
from posthorn.transport.dns import resolve
from posthorn.transport.targets import parse_target

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from posthorn.api.answers.webhooks import Undelivered
    from posthorn.api.http import Request
    from posthorn.api.services import Services
    from posthorn.domain.models import Endpoint
    from posthorn.stores.delivery_counts import Count

LOOKUP_SECONDS: Final = 2.0
"""Time for the DNS lookup at registration; every attempt checks the name again, so no answer is fine."""

type Url = Annotated[
    str,
    StringConstraints(min_length=1, max_length=2048),
    Field(description="An `https` URL. Its host must have a public address."),
]
type EventNames = Annotated[
    list[str],
    Field(
        min_length=1,
        max_length=MAX_EVENTS,
        description="Event types to subscribe to. `*` subscribes to all, `contact.*` to all that begin with `contact.`. A"
        " pattern ends with a `_`, `.`, `:` or `/` and then `*`.",
    ),
]


def check_events(patterns: Sequence[str], check: Callable[[str], None], at: str) -> None:
    """Report all patterns that `check` refuses; `at` is the JSON pointer of their list."""
    errors: list[FieldError] = []
    code = ""
    for index, pattern in enumerate(patterns):
        try:
            check(pattern)
        except RefusedEventType as refusal:
            errors.append(FieldError(at + pointer([index]), refusal.detail))
            code = code or refusal.code
    if errors:
        raise invalid(errors, code)


def vetted(services: Services, url: str, at: str) -> str:
    """Return a URL in its stored form, or refuse it if deliveries may not go there; `at` is its JSON pointer."""
    try:
        target = parse_target(url, services.policy)
        resolve(target, services.policy, timeout=LOOKUP_SECONDS, resolver=services.resolver)
    except RefusedTarget as refusal:
        raise invalid([FieldError(at, refusal.detail)], refusal.code) from refusal
    except NameNotResolved:
        pass  # the name may not be in DNS yet
    return target.url


def switched(endpoint: Endpoint, *, on: bool, now_ms: int) -> Endpoint:
    """Return the endpoint enabled or disabled by its owner; a disabled one keeps its reason and time.

    An endpoint that is enabled again starts as healthy.
    """
    if on == endpoint.enabled:
        return endpoint
    if on:
        return replace(
            endpoint,
            enabled=True,
            disabled_reason=None,
            disabled_at=None,
            health=Health.HEALTHY,
            health_since=None,
            warned_at=None,
        )
    return replace(endpoint, enabled=False, disabled_reason=DisabledReason.MANUAL, disabled_at=now_ms)


def moved(endpoint: Endpoint, *, url: str, now_ms: int) -> Endpoint:
    """Return the endpoint with this URL, and record when it changed."""
    return endpoint if url == endpoint.url else replace(endpoint, url=url, url_since=now_ms)


def undelivered(services: Services, endpoint: Endpoint, *, enable: bool) -> Count | None:
    """Count the deliveries that a disabled endpoint has missed, if a change enables it.

    Counted before the change: if counting fails, nothing has changed and the request can be retried.
    """
    return services.delivery_counts.undelivered(endpoint.id) if enable and not endpoint.enabled else None


def shown_undelivered(missed: Count) -> Undelivered:
    return {"count": missed.number, "is_more": missed.is_more}


def page(services: Services, request: Request, channel: str) -> tuple[list[Endpoint], str | None]:
    """Return the page of endpoints that a request asks for, and the cursor of the next page."""
    return services.cursors.page(request, partial(services.endpoints.page, channel))


def find(services: Services, channel: str, endpoint_id: str, *, prefix: str, what: str) -> Endpoint:
    """Return an endpoint of a channel, or raise the 404 that calls it `what`."""
    endpoint = services.endpoints.get(channel, endpoint_id) if is_id(endpoint_id, prefix) else None
    if endpoint is None:
        raise not_found(what)
    return endpoint


def create(
    services: Services, request: Request, *, prefix: str, channel: str, build: Callable[[str, int], Endpoint]
) -> Endpoint:
    """Create an endpoint, once per idempotency key; `build` takes its id and the time.

    Returns the endpoint as it is now: a repetition finds the one that the first request created.
    """
    decision = idempotency.decide(services, request, [services.new_id(prefix)])
    endpoint_id = decision.ids[0]
    if not decision.is_new and (endpoint := services.endpoints.get(channel, endpoint_id)):
        return endpoint
    if decision.is_done:
        detail = "The endpoint created with this Idempotency-Key was deleted."
        raise Problem(409, "idempotency_key_reused", detail)
    endpoint = build(endpoint_id, decision.decided_at)
    limits = limits_of(services, request.workspace)
    if not services.endpoints.create(endpoint, limits):  # a concurrent repetition of this request was faster
        found = services.endpoints.get(channel, endpoint_id)
        if found is None:
            raise not_found()
        endpoint = found
    idempotency.finish(services, request, decision)
    return endpoint


def update(
    services: Services,
    channel: str,
    endpoint_id: str,
    *,
    prefix: str,
    what: str,
    change: Callable[[Endpoint], Endpoint],
) -> Endpoint:
    """Change an endpoint; concurrent changes by others are kept."""

    def attempt() -> Endpoint | None:
        old = find(services, channel, endpoint_id, prefix=prefix, what=what)
        new = change(old)
        if new == old:
            return old
        new = replace(new, revision=old.revision + 1)
        return new if _write(services, old, new) else None

    detail = f"Other requests are changing this {what}. Retry the request."
    return compare_and_set(attempt, contended=Problem(409, "concurrent_changes", detail))


def disabled(what: str) -> Problem:
    return Problem(409, "endpoint_disabled", f"The {what} must be enabled first.")


def _write(services: Services, old: Endpoint, new: Endpoint) -> bool:
    """Write a changed endpoint; if the change disables it, together with the operational event about that."""
    # only a new host is limited, and few changes have one
    limits = services.limits if new.host == old.host else limits_of(services, new.workspace)
    if new.disabled_reason is None or not old.enabled:
        return services.endpoints.replace(old, new, limits)
    now = services.clock()
    operational_event = operational_events.disabled(old, new.disabled_reason, now_ms=now)
    report = services.endpoint_states.report(operational_event, now_ms=now)
    return services.endpoints.replace(old, new, limits, report)


def delete(services: Services, channel: str, endpoint_id: str, *, prefix: str, what: str) -> None:
    """Remove an endpoint, or raise the 404 that calls it `what`; the event log keeps its deliveries."""

    def attempt() -> bool | None:
        try:
            endpoint = find(services, channel, endpoint_id, prefix=prefix, what=what)
        except Malformed:  # an unreadable row can be deleted, too
            is_gone = services.endpoints.delete(channel, endpoint_id)
        else:
            is_gone = services.deleted_endpoints.delete(endpoint, now_ms=services.clock())
        return is_gone or None

    compare_and_set(attempt, contended=Unavailable("delete endpoint", "Contended"))
