"""JSON Schemas that customers wrote: compiled, and data checked against them, at a cost that has a bound.

Nothing is fetched, patterns are matched in linear time, and no schema looks at one place of the data more than
`MAX_VISITS` times. What that leaves out of JSON Schema is refused when a schema is made, with the reason.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import islice
from typing import TYPE_CHECKING, Any, Final

from posthorn.domain.errors import RefusedSchema
from posthorn.schemas.costs import visits
from posthorn.schemas.patterns import check_patterns

if TYPE_CHECKING:
    from jsonschema_rs import ValidationError, Validator

MAX_VISITS: Final = 250
"""How many subschemas may look at one place of the data; more alternatives than that nobody reads."""

MAX_COMPLAINTS: Final = 20

# Bytes of one pattern, and again of its cache: MAX_PATTERNS of them in each schema that is kept compiled stay below
# the function's memory. Enough for `^[^\s]{1,255}$`, which is large because Unicode is.
_PATTERN_BYTES: Final = 1 << 20
_MAX_MESSAGE: Final = 300
# Each complaint takes memory: of large data that may be wrong everywhere, only the first is told.
_WORK_FOR_ALL: Final = 250_000

_DEFAULT_DRAFT: Final = "https://json-schema.org/draft/2020-12/schema"
_DRAFTS: Final = frozenset(
    {
        _DEFAULT_DRAFT,
        "https://json-schema.org/draft/2019-09/schema",
        "http://json-schema.org/draft-07/schema",
    }
)
_NOT_LINEAR: Final = (
    "This is no pattern that is matched in linear time: there is no look-around and no back-reference, and a large"
    " class is not repeated many times (minLength and maxLength count without a pattern)."
)


@dataclass(frozen=True, slots=True)
class Complaint:
    """One place of the data that is not as the schema wants it; `path` leads there."""

    path: tuple[str | int, ...]
    detail: str


@dataclass(frozen=True, slots=True)
class Schema:
    """A schema that is ready for use."""

    most_visits: int
    _validator: Validator = field(repr=False)

    def complaints(self, data: Any, *, size: int) -> list[Complaint]:
        """Return what is wrong with data, nothing if it is as it should be; `size` is that of its JSON."""
        if self._validator.is_valid(data):
            return []
        if size * self.most_visits > _WORK_FOR_ALL:
            return [self._first(data)]
        return [_complaint(error) for error in islice(self._validator.iter_errors(data), MAX_COMPLAINTS)]

    def _first(self, data: Any) -> Complaint:
        from jsonschema_rs import ValidationError  # loaded by now

        try:
            self._validator.validate(data)
        except ValidationError as error:
            return _complaint(error)
        raise RuntimeError("what is not valid has an error")


def compiled(schema: dict[str, Any]) -> Schema:
    """Return a schema ready for use, or raise `RefusedSchema` with the reason and the place."""
    # 15 MB of machine code that only workspaces with schemas of their own need
    from jsonschema_rs import RegexOptions, ValidationError, validator_for

    draft = schema.get("$schema", _DEFAULT_DRAFT)
    if not isinstance(draft, str) or draft.removesuffix("#") not in _DRAFTS:
        raise RefusedSchema("The known drafts are 2020-12 (the default), 2019-09 and 7.", ("$schema",))
    check_patterns(schema)
    try:
        validator = validator_for(
            schema,
            offline=True,  # a schema is no way to make us call an address
            mask="the value",  # what a customer sends does not come back in an error, which may be logged
            pattern_options=RegexOptions(size_limit=_PATTERN_BYTES, dfa_size_limit=_PATTERN_BYTES),
        )
    except ValidationError as error:
        detail = _NOT_LINEAR if getattr(error.kind, "format", None) == "regex" else _short(error.message)
        raise RefusedSchema(detail, tuple(error.instance_path)) from None
    return Schema(visits(schema, limit=MAX_VISITS), validator)


def _complaint(error: ValidationError) -> Complaint:
    return Complaint(tuple(error.instance_path), _short(error.message))


def _short(message: str) -> str:
    """Return a message as a sentence; a long list of choices is cut."""
    text = message if len(message) <= _MAX_MESSAGE else message[:_MAX_MESSAGE] + "…"
    return f"{text[:1].upper()}{text[1:]}."
