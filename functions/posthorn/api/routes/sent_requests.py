"""Requests as they were sent, rebuilt by the code that sends them, and curl commands that send them again."""

from __future__ import annotations

import shlex
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from posthorn.domain.models import Failure
from posthorn.transport.posts import SAID
from posthorn.wire.envelope import Envelope
from posthorn.wire.formats import body_of, default_of, headers_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from posthorn.domain.endpoint_kind import PayloadFormat
    from posthorn.domain.models import Attempt, Endpoint, Event
    from posthorn.settings import Brand
    from posthorn.wire.formats import Headers

PLACEHOLDER: Final = "<signature>"
"""Replaces signatures that cannot or should not be shown."""

SECRET_REPLACED: Final = "The secret has been replaced since, so the signatures cannot be shown."  # noqa: S105 - a sentence about secrets
URL_CHANGED: Final = "The URL has changed since, so the URL of this attempt cannot be shown."
OTHER_FORMAT: Final = (
    "The body of this attempt was in the format {sent}; the body shown is in the format {shown}."
)
NEVER_LEFT: Final = "No connection was made, so nothing of this request was sent."

_ARGUMENT_BYTES: Final = 100_000  # Linux allows 128 KB (MAX_ARG_STRLEN)
_NO_CONNECTION: Final = frozenset({Failure.DNS, Failure.CONNECT, Failure.TLS, Failure.BLOCKED_ADDRESS})


@dataclass(frozen=True, slots=True)
class SentRequest:
    """The request of one attempt without its body, which all attempts share unless the format was changed."""

    url: str | None = field(repr=False)  # None if it is no longer known
    headers: Headers = field(repr=False)
    notes: tuple[str, ...]


def format_of(endpoint: Endpoint, attempt: Attempt | None) -> PayloadFormat:
    """Return the format that an attempt was sent in, or that the first attempt will be sent in."""
    if attempt is None:
        return endpoint.format
    return attempt.format or default_of(endpoint.kind)


def rebuild(
    endpoint: Endpoint,
    event: Event,
    attempt: Attempt,
    *,
    shown: PayloadFormat,
    secrets: tuple[bytes, ...] | None,
    brand: Brand,
) -> SentRequest:
    """Return the request of an attempt. `secrets` are those that signed it; without them, signatures are left out.

    `shown` is the format of the body that stands beside all attempts.
    """
    payload_format = format_of(endpoint, attempt)
    body = body_of(payload_format, event)
    notes: list[str] = []
    if attempt.outcome.failure in _NO_CONNECTION:
        notes.append(NEVER_LEFT)
    if payload_format is not shown:
        notes.append(OTHER_FORMAT.format(sent=payload_format, shown=shown))
    envelope = Envelope(
        event=event,
        body=body,
        secrets=secrets or (),
        sent_at=attempt.started_at,
        endpoint_id=endpoint.id,
        generation=attempt.generation,
        attempt=attempt.number,
    )
    if secrets is None:
        own = unsigned(endpoint, payload_format, envelope, brand)
        if attempt.signed_by:
            notes.append(SECRET_REPLACED)
    else:
        own = headers_of(endpoint.kind, payload_format, envelope, brand)
    url: str | None = endpoint.url
    if endpoint.url_since is not None and endpoint.url_since > attempt.started_at:
        url = None
        notes.append(URL_CHANGED)
    host = () if url is None else (("Host", urlsplit(url).netloc),)
    return SentRequest(url, (*host, *SAID, *own, ("Content-Length", str(len(body)))), tuple(notes))


def unsigned(endpoint: Endpoint, payload_format: PayloadFormat, envelope: Envelope, brand: Brand) -> Headers:
    """Return an attempt's headers, with a placeholder for each value that depends on a secret."""
    one, other = (
        headers_of(endpoint.kind, payload_format, replace(envelope, secrets=(secret,)), brand)
        for secret in (b"one", b"other")
    )
    return tuple(
        (name, value if value == different else PLACEHOLDER)
        for (name, value), (_, different) in zip(one, other, strict=True)
    )


def curl_line(url: str, headers: Sequence[tuple[str, str]], body: str) -> str:
    """Return a command for a POSIX shell that sends the same request.

    `headers` are those of `headers_of`: curl sets the others exactly as we do.
    """
    words = ["curl", "--globoff", "--path-as-is", "--http1.1"]
    for name, value in (*SAID, *headers):
        words += ["--header", f"{name}: {value}"]
    words += ["--header", "Expect:"]  # or older curls send `Expect: 100-continue` and wait a second
    if len(body.encode()) <= _ARGUMENT_BYTES:
        return shlex.join([*words, "--data-raw", body, url])
    # The shell's builtin printf accepts arguments that are too long for a program.
    return f"printf %s {shlex.quote(body)} | {shlex.join([*words, '--data-binary', '@-', url])}"
