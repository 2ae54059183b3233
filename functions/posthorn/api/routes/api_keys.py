"""`/v1/api-keys`: who may speak for a workspace."""

from __future__ import annotations

import re
from functools import partial
from typing import TYPE_CHECKING, Annotated, Final

from pydantic import Field, StringConstraints

from posthorn.api import bodies, idempotency, timestamps
from posthorn.api.http import Answer, Request
from posthorn.api.problems import FieldError, Problem, invalid, not_found
from posthorn.api.route import PAGED, Route
from posthorn.api.timestamps import Timestamp
from posthorn.domain.api_key import ENTROPY_BYTES, ApiKey, Scope, hash_of, key_id_of, mint, secret_of
from posthorn.domain.clock import rfc3339

if TYPE_CHECKING:
    from posthorn.api.answers.api_keys import ApiKeyList, ApiKeyResult, ApiKeyWithText
    from posthorn.api.answers.fields import Deleted
    from posthorn.api.services import Services

PATH: Final = "/v1/api-keys"

_ID: Final = re.compile("[0-9A-Za-z]{12}")

type KeyName = Annotated[
    str,
    StringConstraints(min_length=1, max_length=64, pattern=r"^[^\x00-\x1f\x7f]*$"),
    Field(description="A name of yours, without control characters."),
]


class NewApiKey(bodies.Body):
    """What an API key is made from."""

    name: KeyName
    # strict models take no text for an enumeration unless told to
    scopes: Annotated[
        list[Annotated[Scope, Field(strict=False)]], Field(min_length=1, max_length=len(Scope))
    ] = Field(description="What the key may be used for.")
    expires_at: Timestamp | None = Field(
        default=None, alias="expiresAt", description="When it expires. By default, never."
    )


def list_api_keys(services: Services, request: Request) -> Answer[ApiKeyList]:
    page, cursor = services.cursors.page(request, partial(services.api_keys.page, request.workspace))
    now = services.clock()
    content: ApiKeyList = {"apiKeys": [_shown(key, now) for key in page]}
    if cursor is not None:
        content["nextCursor"] = cursor
    return Answer(content)


def create_api_key(services: Services, request: Request) -> Answer[ApiKeyResult]:
    """Make a key and show it, this once: a repetition answers with its record only."""
    wanted = bodies.validate(NewApiKey, bodies.parse(request))
    valid_until = None if wanted.expires_at is None else timestamps.read_ms(wanted.expires_at, "/expiresAt")
    if lacking := sorted(set(wanted.scopes) - request.scopes):
        names = ", ".join(f"`{scope}`" for scope in lacking)
        raise Problem(403, "insufficient_scope", f"This API key does not have what it is to give: {names}.")
    entropy = services.random_bytes(ENTROPY_BYTES)
    decision = idempotency.decide(services, request, [key_id_of(mint(entropy))])
    # whoever repeats a request may do so after what it made has expired
    if valid_until is not None and valid_until <= decision.decided_at:
        raise invalid([FieldError("/expiresAt", "This time has passed.")])
    text = mint(entropy, key_id=decision.ids[0])
    made = ApiKey(
        id=decision.ids[0],
        workspace=request.workspace,
        name=wanted.name,
        scopes=frozenset(wanted.scopes),
        secret_hash=hash_of(secret_of(text)),
        created_at=decision.decided_at,
        valid_until=valid_until,
    )
    if decision.is_done or not services.api_keys.create(made):
        found = services.api_keys.get(made.id)
        if found is None:
            raise Problem(409, "idempotency_key_reused", "What was made under this Idempotency-Key is gone.")
        shown = _shown(found, services.clock())
    else:
        shown = _shown(made, services.clock())
        shown["key"] = text
    idempotency.finish(services, request, decision)
    return Answer({"apiKey": shown})


def revoke_api_key(services: Services, request: Request) -> Answer[Deleted]:
    key_id = request.path["keyId"]
    key = services.api_keys.get(key_id) if _ID.fullmatch(key_id) else None
    if key is None or key.workspace != request.workspace:
        raise not_found("API key")
    services.api_keys.revoke(key_id, now_ms=services.clock())
    services.keyring.forget(key_id)
    return Answer({"deleted": True})


ROUTES: Final = (
    Route(
        "GET",
        PATH,
        Scope.ADMIN,
        list_api_keys,
        "List API keys, revoked and expired ones included",
        note=(
            "The order is that of the ids, which are random. A key that was made or revoked a moment ago may not show"
            " yet. `lastUsedAt` is written at most once an hour."
        ),
        query=PAGED,
    ),
    Route(
        "POST",
        PATH,
        Scope.ADMIN,
        create_api_key,
        "Create an API key",
        NewApiKey,
        status=201,
        note=(
            "`key` is shown in this answer and never again: only a hash of it is stored. A repetition under the same"
            " Idempotency-Key answers without it; if the first answer was lost, revoke the key and make another."
            " A key cannot give a scope that it does not have."
        ),
    ),
    Route(
        "DELETE",
        f"{PATH}/{{keyId}}",
        Scope.ADMIN,
        revoke_api_key,
        "Revoke an API key",
        note="It stops working within 30 seconds. Revoking it again changes nothing.",
    ),
)


def _shown(key: ApiKey, now_ms: int) -> ApiKeyWithText:
    return {
        "id": key.id,
        "name": key.name,
        "scopes": sorted(key.scopes),
        "state": key.state(now_ms),
        "createdAt": rfc3339(key.created_at),
        "expiresAt": _time(key.valid_until),
        "lastUsedAt": _time(key.last_used_at),
        "revokedAt": _time(key.revoked_at),
    }


def _time(moment_ms: int | None) -> str | None:
    return None if moment_ms is None else rfc3339(moment_ms)
