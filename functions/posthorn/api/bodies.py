"""Request bodies: strict JSON into strict models, and every complaint with a pointer to its cause."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from pydantic import BaseModel, ConfigDict, ValidationError

from posthorn.api.problems import FieldError, Problem, invalid
from posthorn.domain.errors import RefusedJson
from posthorn.wire import ecmascript

if TYPE_CHECKING:
    from collections.abc import Iterable

    from pydantic_core import ErrorDetails

    from posthorn.api.http import Request

MAX_BODY: Final = 5 * 1024 * 1024
_MAX_ERRORS: Final = 20

_COMPLAINTS: Final = {
    "extra_forbidden": "There is no such field.",
    "missing": "This field is required.",
    "string_type": "This is a string.",
    "bool_type": "This is true or false.",
    "list_type": "This is a list.",
    "dict_type": "This is an object.",
    "string_too_short": "This has at least {min_length} characters.",
    "string_too_long": "This has at most {max_length} characters.",
    "string_pattern_mismatch": "This holds characters that it may not hold.",
    "enum": "This is one of {expected}.",
    "int_type": "This is a whole number.",
    "greater_than_equal": "This is at least {ge}.",
    "less_than_equal": "This is at most {le}.",
    "too_short": "This has at least {min_length} entries.",
    "too_long": "This has at most {max_length} entries.",
}
"""What pydantic's error types mean, said to somebody who has never heard of pydantic."""


class Body(BaseModel):
    """A request body: no field is converted and none is overlooked."""

    # built when a request first needs it: a cold start would build them all
    model_config = ConfigDict(strict=True, extra="forbid", frozen=True, defer_build=True)


def build_all() -> None:
    """Build every model that there is."""
    waiting = [Body]
    while waiting:
        model = waiting.pop()
        model.model_rebuild()
        waiting += model.__subclasses__()


def parse(request: Request) -> dict[str, Any]:
    """Read a request's body as a JSON object."""
    if len(request.body) > MAX_BODY:
        raise too_large("A request body may have 5 MB.")
    try:
        value = ecmascript.parse(request.body)
    except RefusedJson as error:
        errors = [] if error.path is None else [FieldError(pointer(error.path), error.detail)]
        raise Problem(400, error.code, error.detail, errors=errors) from error
    if not isinstance(value, dict):
        raise Problem(400, "invalid_json", "The body is JSON, but not an object.")
    return value


def parse_optional(request: Request) -> dict[str, Any]:
    """Read a request's body as a JSON object; no body at all is an empty one."""
    return parse(request) if request.body else {}


def validate[T: Body](model: type[T], value: dict[str, Any], *, at: str = "") -> T:
    """Check a JSON object against a model; `at` is the pointer of the object within the body."""
    try:
        return model.model_validate(value)
    except ValidationError as error:
        found = error.errors(include_url=False, include_input=False)  # the input may be secret
        raise invalid([_field_error(at, one) for one in found[:_MAX_ERRORS]]) from None


def _field_error(at: str, found: ErrorDetails) -> FieldError:
    complaint = _COMPLAINTS.get(found["type"], "This is not valid.")
    # "[key]" is pydantic's step to the name of a field, which has no pointer of its own
    path = found["loc"][:-1] if found["loc"][-1:] == ("[key]",) else found["loc"]
    return FieldError(at + pointer(path), complaint.format_map(found.get("ctx", {})))


def pointer(path: Iterable[str | int]) -> str:
    """Write a JSON pointer (RFC 6901)."""
    return "".join("/" + str(step).replace("~", "~0").replace("/", "~1") for step in path)


def too_large(detail: str, at: str = "") -> Problem:
    return Problem(413, "too_large", detail, errors=[FieldError(at, detail)] if at else ())
