"""Attempts in a delivery row: one short JSON text each."""

import json
from typing import Any, Final

from posthorn.domain.endpoint_kind import PayloadFormat
from posthorn.domain.errors import Malformed
from posthorn.domain.models import FIRST_GENERATION, Attempt, Failure, Outcome, Timings

# The row of a delivery that succeeds at once should cost one write unit, which is 1 KB.
_SUCCESS_BYTES: Final = 520
_SUCCESS_SNIPPET: Final = 160

# The time of the attempt is known, and the body is shown; together they take a tenth of the space of a success.
_OF_NO_INTEREST: Final = frozenset({"content-length", "date"})

# json.dumps makes a new one for each call.
_ENCODER: Final = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"))


def to_text(attempt: Attempt) -> str:
    """Write an attempt; a success keeps only as much of the response as lets its row stay small."""
    outcome = attempt.outcome
    if outcome.failure is None and outcome.status is not None and 200 <= outcome.status < 300:
        short = outcome.snippet.encode()[:_SUCCESS_SNIPPET].decode(errors="ignore")
        telling = tuple((name, value) for name, value in outcome.headers if name not in _OF_NO_INTEREST)
        for headers in (telling, ()):
            if len((text := _encode(attempt, headers, short)).encode()) <= _SUCCESS_BYTES:
                return text
        return _encode(attempt, (), "")
    return _encode(attempt, outcome.headers, outcome.snippet)


def from_text(text: str) -> Attempt:
    try:
        found = json.loads(text)
        failure, payload_format = found.get("failure"), found.get("format")
        return Attempt(
            number=found["number"],
            started_at=found["at"],
            outcome=Outcome(
                timings=Timings(*found["ms"]),
                status=found.get("status"),
                failure=Failure(failure) if failure else None,
                error=found.get("error"),
                address=found.get("address"),
                headers=tuple((name, value) for name, value in found.get("headers", ())),
                snippet=found.get("snippet", ""),
            ),
            generation=found.get("generation", FIRST_GENERATION),
            signed_by=tuple(found.get("keys", ())),
            format=PayloadFormat(payload_format) if payload_format else None,
        )
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise Malformed("an attempt in the row of a delivery cannot be read") from error


def _encode(attempt: Attempt, headers: tuple[tuple[str, str], ...], snippet: str) -> str:
    outcome, timings = attempt.outcome, attempt.outcome.timings
    fields: dict[str, Any] = {
        "number": attempt.number,
        "at": attempt.started_at,
        "ms": [timings.dns, timings.connect, timings.tls, timings.first_byte, timings.total],
        "status": outcome.status,
        "failure": outcome.failure,
        "error": outcome.error,
        "address": outcome.address,
        "headers": headers,
        "snippet": snippet,
        "generation": None if attempt.generation == FIRST_GENERATION else attempt.generation,
        "keys": attempt.signed_by,
        "format": attempt.format,
    }
    kept = {name: value for name, value in fields.items() if value not in (None, "", ())}
    return _ENCODER.encode(kept)
