"""Request bodies: parses strict JSON into strict models; every error points to its cause."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from pydantic import BaseModel, ConfigDict, ValidationError

from posthorn.api.problems import FieldError, Problem, invalid
from posthorn.domain.errors import RefusedJson, TooLargeJson
from posthorn.domain.limits import MAX_BODY
from posthorn.wire import ecmascript

if TYPE_CHECKING:
    from collections.abc import Iterable

    from pydantic_core import ErrorDetails

    from posthorn.api.http import Request

_MAX_ERRORS: Final = 20
_UNENCODED: Final = "identity"

_COMPLAINTS: Final = {
    "extra_forbidden": "Unknown field.",
    "missing": "Required.",
    "string_type": "Must be a string.",
    "bool_type": "Must be true or false.",
    "list_type": "Must be an array.",
    "dict_type": "Must be an object.",
    "string_too_short": "Must have at least {min_length} {characters}.",
    "string_too_long": "Must have at most {max_length} {characters}.",
    "string_pattern_mismatch": "Must match the pattern `{pattern}`.",
    "encoded_key": (
        "Must be `whsec_` followed by the base64 of {min_bytes} to {max_bytes} bytes, with padding and the standard"
        " alphabet."
    ),
    "enum": "Must be one of {expected}.",
    "int_type": "Must be a whole number.",
    "greater_than_equal": "Must be at least {ge}.",
    "less_than_equal": "Must be at most {le}.",
    "too_short": "Must have at least {min_length} {entries}.",
    "too_long": "Must have at most {max_length} {entries}.",
}
"""Error details by pydantic's error type, in words that do not presume pydantic."""


class Body(BaseModel):
    """A request body: values are not converted, and unknown fields are refused."""

    # Built when a request first needs the model: a cold start would build them all.
    model_config = ConfigDict(strict=True, extra="forbid", frozen=True, defer_build=True)


def build_all() -> None:
    """Build every model now."""
    waiting = [Body]
    while waiting:
        model = waiting.pop()
        model.model_rebuild()
        waiting += model.__subclasses__()


def parse(request: Request) -> dict[str, Any]:
    """Parse a request's body as a JSON object."""
    if request.headers.get("content-encoding", _UNENCODED).strip().lower() != _UNENCODED:
        raise Problem(415, "unsupported_encoding", "The body must be sent without a Content-Encoding.")
    if len(request.body) > MAX_BODY:
        raise too_large(f"The body must be at most {MAX_BODY // 1024**2} MB.")
    try:
        value = ecmascript.parse(request.body)
    except RefusedJson as error:
        errors = [] if error.path is None else [FieldError(pointer(error.path), error.detail)]
        raise Problem(400, error.code, error.detail, errors=errors) from error
    if not isinstance(value, dict):
        raise Problem(400, "invalid_json", "The body must be a JSON object.")
    return value


def parse_optional(request: Request) -> dict[str, Any]:
    """Parse a request's body as a JSON object; a missing body is an empty object."""
    return parse(request) if request.body else {}


def validate[T: Body](model: type[T], value: dict[str, Any], *, at: str = "") -> T:
    """Validate a JSON object against a model; `at` is the object's JSON pointer within the body."""
    try:
        return model.model_validate(value)
    except ValidationError as error:
        found = error.errors(include_url=False, include_input=False)  # the input may be secret
        raise invalid([_field_error(at, one) for one in found[:_MAX_ERRORS]]) from None


def written(value: dict[str, Any], at: str, *, limit: int, too_long: str = "") -> str:
    """Write a value of the body as JSON, exactly as it will be sent, or refuse it.

    `at` is its JSON pointer, `limit` is in bytes, and `too_long` is the detail of the error if it has more.
    """
    try:
        return ecmascript.stringify(value, limit=limit)
    except TooLargeJson as refusal:
        raise too_large(too_long or refusal.detail, at) from refusal
    except RefusedJson as refusal:
        raise invalid([FieldError(at, refusal.detail)], refusal.code) from refusal


def _field_error(at: str, found: ErrorDetails) -> FieldError:
    complaint = _COMPLAINTS.get(found["type"], "Must be valid.")
    # "[key]" is pydantic's step to a field's name, which has no pointer of its own.
    path = found["loc"][:-1] if found["loc"][-1:] == ("[key]",) else found["loc"]
    limits = found.get("ctx", {})
    is_one = limits.get("min_length", limits.get("max_length")) == 1
    nouns = {
        "characters": "character" if is_one else "characters",
        "entries": "entry" if is_one else "entries",
    }
    return FieldError(at + pointer(path), complaint.format_map({**limits, **nouns}))


def pointer(path: Iterable[str | int]) -> str:
    """Write a JSON pointer (RFC 6901)."""
    return "".join("/" + str(step).replace("~", "~0").replace("/", "~1") for step in path)


def too_large(detail: str, at: str = "") -> Problem:
    return Problem(413, "too_large", detail, errors=[FieldError(at, detail)] if at else ())
