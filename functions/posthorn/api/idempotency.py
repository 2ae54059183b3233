"""`Idempotency-Key`: a POST that is sent twice takes effect once."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from posthorn.api.problems import Problem
from posthorn.domain.api_key import PLATFORM
from posthorn.stores.idempotency import Decision

if TYPE_CHECKING:
    from collections.abc import Sequence

    from posthorn.api.http import Request
    from posthorn.api.services import Services

REQUEST_OVER_MS: Final = 30_000
"""A request that began this long ago has ended: longer than ApiFunction's timeout in template.yaml."""

_SHAPE: Final = re.compile(r"[!-~]{1,255}")


def check(request: Request) -> None:
    """Refuse a malformed key where none is needed."""
    _key(request)


def decide(services: Services, request: Request, ids: Sequence[str]) -> Decision:
    """Return the ids that this request creates: these, or those of the request that it repeats."""
    key = _key(request)
    now = services.clock()
    if key is None:
        return Decision(tuple(ids), now, b"", is_kept=False)
    decision = services.idempotency.decide(
        _owner(request), request.place, key, body=request.body, ids=ids, now_ms=now
    )
    if not decision.is_for(request.body):
        raise Problem(
            409,
            "idempotency_key_reused",
            "An Idempotency-Key must not be reused with another body within 24 hours.",
        )
    return decision


def finish(services: Services, request: Request, decision: Decision) -> None:
    """Record that the decision was carried out, so that a repetition only reads the result."""
    if (key := _key(request)) is not None and not decision.is_done:
        services.idempotency.finish(_owner(request), request.place, key)


def forget(services: Services, request: Request) -> None:
    """Release the request's key, because its decision was not carried out."""
    if (key := _key(request)) is not None:
        services.idempotency.forget(_owner(request), request.place, key)


def _owner(request: Request) -> str:
    """Return what the key is bound to: the workspace, or all of the installation's platform keys together.

    A request that is repeated with another platform key, because the first was replaced, is the same request.
    """
    return request.workspace or PLATFORM


def _key(request: Request) -> str | None:
    key = request.headers.get("idempotency-key")
    if key is not None and not _SHAPE.fullmatch(key):
        raise Problem(
            400,
            "invalid_idempotency_key",
            "Idempotency-Key must have 1 to 255 printable ASCII characters, without spaces.",
        )
    return key
