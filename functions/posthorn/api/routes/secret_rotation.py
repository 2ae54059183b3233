"""Replaces signing secrets.

A rotation is one write of the endpoint's row: a crash before it leaves the old secret valid, and at most two secrets
sign at any time.
"""

from __future__ import annotations

import hmac
from dataclasses import replace
from typing import TYPE_CHECKING, Annotated, Final

from pydantic import AfterValidator, Field, StringConstraints
from pydantic_core import PydanticCustomError

from posthorn.api import bodies
from posthorn.domain.models import PreviousSecret
from posthorn.wire.signing import (
    MAX_KEY_BYTES,
    MAX_SECRET_LENGTH,
    MIN_KEY_BYTES,
    MIN_SECRET_LENGTH,
    STANDARD_PREFIX,
    encoded_key,
    repeats_one_character,
)

if TYPE_CHECKING:
    from posthorn.api.answers.fields import Warned
    from posthorn.api.services import Services
    from posthorn.domain.models import Endpoint, SealedSecret

HOUR_MS: Final = 3_600_000
DEFAULT_OVERLAP_HOURS: Final = 24
DEFAULT_OVERLAP_MS: Final = DEFAULT_OVERLAP_HOURS * HOUR_MS
MAX_OVERLAP_HOURS: Final = 168
FIRST_VERSION: Final = 1
"""The version of the secret that an endpoint is created with; every rotation counts one up."""

_TOKEN_PREFIX: Final = "wht_"  # noqa: S105 - the public part of every token


def _check_key(secret: str) -> str:
    """Refuse a `whsec_` secret that the libraries of Standard Webhooks cannot all read."""
    text = secret.encode()
    if text.startswith(STANDARD_PREFIX) and encoded_key(text) is None:
        raise PydanticCustomError(
            "encoded_key", "malformed key", {"min_bytes": MIN_KEY_BYTES, "max_bytes": MAX_KEY_BYTES}
        )
    return secret


# No control characters: secrets are pasted into consoles and environment files.
type Secret = Annotated[
    str,
    StringConstraints(
        min_length=MIN_SECRET_LENGTH, max_length=MAX_SECRET_LENGTH, pattern=r"^[^\x00-\x1f\x7f]*$"
    ),
    AfterValidator(_check_key),
    Field(
        description=(
            "A secret that deliveries are signed with, without control characters. Its text is the key. If it begins"
            f" with `whsec_`, the rest must be the base64 of {MIN_KEY_BYTES} to {MAX_KEY_BYTES} bytes, and those bytes"
            " are the key of `webhook-signature`, as in Standard Webhooks; the key of the other signatures is still"
            " the whole text."
        )
    ),
]


class Rotation(bodies.Body):
    """How to rotate a webhook's token; without a `token`, the new one is random."""

    overlap_hours: Annotated[int, Field(ge=0, le=MAX_OVERLAP_HOURS)] = Field(
        default=DEFAULT_OVERLAP_HOURS,
        alias="overlapHours",
        description="For how long deliveries are signed with the previous token, too.",
    )
    token: Secret | None = Field(default=None, description="The new token. By default, a random one.")


def warn_about(secret: str | None, content: Warned, at: str) -> None:
    """Add a warning to an answer if the secret that was given is easy to guess; `at` is its JSON pointer."""
    if secret and repeats_one_character(secret):
        detail = "Should not repeat one character: such a secret is easy to guess."
        content["warnings"] = [{"pointer": at, "detail": detail}]


def new_token(services: Services) -> str:
    """Make a token for a webhook that was created without one."""
    return _TOKEN_PREFIX + services.random_bytes(32).hex()


def sealed(
    services: Services, secret: str, *, workspace: str, endpoint_id: str, version: int = FIRST_VERSION
) -> SealedSecret:
    """Encrypt a signing secret for the endpoint it belongs to."""
    return services.sealer.seal(secret, workspace=workspace, endpoint_id=endpoint_id, version=version)


def rotated(services: Services, old: Endpoint, secret: str, *, until_ms: int) -> Endpoint:
    """Return the endpoint with a new secret; the old one signs, too, until `until_ms`.

    If that time has passed, the old secret stops signing at once. If the secret is not new, the request is a
    repetition: nothing changes, since another rotation would end the overlap with the secret before.
    """
    if hmac.compare_digest(secret.encode(), services.unsealer.secret_of(old)):
        return old
    new = sealed(
        services, secret, workspace=old.workspace, endpoint_id=old.id, version=old.secret.version + 1
    )
    still = PreviousSecret(old.secret, until=until_ms) if until_ms > services.clock() else None
    return replace(old, secret=new, previous_secret=still)
