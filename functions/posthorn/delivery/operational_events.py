"""Events that Posthorn itself publishes about a workspace's endpoints, on the workspace's channel like any other."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

from posthorn.domain.clock import rfc3339
from posthorn.domain.endpoint_kind import EndpointKind
from posthorn.domain.ids import EVENT, new_id
from posthorn.domain.models import Event
from posthorn.wire.ecmascript import stringify

if TYPE_CHECKING:
    from posthorn.domain.models import DisabledReason, Endpoint

WEBHOOK_DISABLED: Final = "WEBHOOK_DISABLED"
WEBHOOK_FAILING: Final = "WEBHOOK_FAILING"


def disabled(endpoint: Endpoint, reason: DisabledReason, *, now_ms: int, notice: str | None = None) -> Event:
    """Return the event that an endpoint is being disabled; `endpoint` is as it was before."""
    data = {"webhook": _described(endpoint), "reason": str(reason), "since": rfc3339(now_ms)}
    return _event(endpoint, WEBHOOK_DISABLED, data, now_ms, notice)


def failing(
    endpoint: Endpoint, *, since_ms: int, until_ms: int, now_ms: int, notice: str | None = None
) -> Event:
    """Return the warning that an endpoint has been failing since a time and will be disabled at another."""
    data = {
        "webhook": _described(endpoint),
        "failing_since": rfc3339(since_ms),
        "will_be_disabled_at": rfc3339(until_ms),
    }
    return _event(endpoint, WEBHOOK_FAILING, data, now_ms, notice)


def _described(endpoint: Endpoint) -> dict[str, Any]:
    is_webhook = endpoint.kind is EndpointKind.WEBHOOK
    described = {"id": endpoint.id, "kind": str(endpoint.kind)}
    if is_webhook and endpoint.description is not None:
        described["description"] = endpoint.description
    if not is_webhook and endpoint.name is not None:
        described["name"] = endpoint.name
    # only the host: the rest of a URL can be a credential
    return described | {"host": urlsplit(endpoint.url).hostname or ""}


def _event(endpoint: Endpoint, kind: str, data: dict[str, Any], now_ms: int, notice: str | None) -> Event:
    # the same change reported twice is one event; the revision tells apart two changes in one millisecond
    what = f"{endpoint.id} {kind} {endpoint.revision}"
    return Event(
        id=new_id(EVENT, now_ms=now_ms, entropy=hashlib.sha256(what.encode()).digest()[:10]),
        channel=endpoint.workspace,
        workspace=endpoint.workspace,
        type=kind,
        data=stringify(data),
        created_at=rfc3339(now_ms),
        notice=notice,
    )
