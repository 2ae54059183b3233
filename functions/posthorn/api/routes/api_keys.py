"""`/v1/api-keys`: the API keys of a workspace."""

from __future__ import annotations

import re
from functools import partial
from typing import TYPE_CHECKING, Annotated, Final

from pydantic import Field, StringConstraints

from posthorn.api import bodies, idempotency, timestamps
from posthorn.api.http import Answer, Request
from posthorn.api.problems import FieldError, Problem, invalid, not_found
from posthorn.api.route import PAGED, Route
from posthorn.api.routes import api_key_views
from posthorn.api.timestamps import Timestamp
from posthorn.domain.api_key import ENTROPY_BYTES, ApiKey, Scope, hash_of, key_id_of, mint, secret_of
from posthorn.domain.clock import rfc3339

if TYPE_CHECKING:
    from posthorn.api.answers.api_keys import ApiKeyList, ApiKeyResult
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
    """The body of a request that creates an API key."""

    name: KeyName
    # A strict model accepts a string for an enum only with strict=False.
    scopes: Annotated[
        list[Annotated[Scope, Field(strict=False)]], Field(min_length=1, max_length=len(Scope))
    ] = Field(description="What the key may be used for.")
    expires_at: Timestamp | None = Field(
        default=None, alias="expiresAt", description="When it expires. By default, never."
    )


def list_api_keys(services: Services, request: Request) -> Answer[ApiKeyList]:
    page, cursor = services.cursors.page(request, partial(services.api_keys.page, request.workspace))
    now = services.clock()
    content: ApiKeyList = {"apiKeys": [api_key_views.api_key(key, now) for key in page]}
    if cursor is not None:
        content["nextCursor"] = cursor
    return Answer(content)


def create_api_key(services: Services, request: Request) -> Answer[ApiKeyResult]:
    """Create a key and return it, only this once: a repetition returns the record without the key."""
    wanted = bodies.validate(NewApiKey, bodies.parse(request))
    valid_until = None if wanted.expires_at is None else timestamps.read_ms(wanted.expires_at, "/expiresAt")
    if lacking := sorted(set(wanted.scopes) - request.scopes):
        names = ", ".join(f"`{scope}`" for scope in lacking)
        raise Problem(403, "insufficient_scope", f"A key cannot grant scopes it does not have: {names}.")
    limit = request.key_valid_until
    if limit is not None and (valid_until is None or valid_until > limit):
        detail = f"Must not be later than the expiry of the key that creates it: {rfc3339(limit)}."
        raise invalid([FieldError("/expiresAt", detail)])
    entropy = services.random_bytes(ENTROPY_BYTES)
    decision = idempotency.decide(services, request, [key_id_of(mint(entropy))])
    # Compared with the first request's time: a repetition may come after the key has expired.
    if valid_until is not None and valid_until <= decision.decided_at:
        raise invalid([FieldError("/expiresAt", "Must be in the future.")])
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
            detail = "The API key created with this Idempotency-Key no longer exists."
            raise Problem(409, "idempotency_key_reused", detail)
        shown = api_key_views.api_key(found, services.clock())
    else:
        shown = api_key_views.api_key(made, services.clock())
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
            "Keys are sorted by id, and ids are random. A key created or revoked a moment ago may not show up"
            " yet. `lastUsedAt` is updated at most once an hour."
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
            "Only this response contains `key`: Posthorn stores a hash of it. A repetition with the same"
            " Idempotency-Key returns the key's record without it; if the first response was lost, revoke the key and"
            " create another. A key cannot grant scopes it does not have, and a key that expires must give an"
            " `expiresAt` that is not later than its own."
        ),
    ),
    Route(
        "DELETE",
        f"{PATH}/{{keyId}}",
        Scope.ADMIN,
        revoke_api_key,
        "Revoke an API key",
        note="The key stops working within 30 seconds. Revoking it again changes nothing.",
    ),
)
