"""Compiles customers' JSON Schemas and validates data against them, at a bounded cost.

Nothing is fetched, patterns match in linear time, and no schema visits one place of the data more than `MAX_VISITS`
times. Schemas that need more than that are refused when they are created, with the reason.
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
"""How many subschemas may visit one place of the data."""

MAX_COMPLAINTS: Final = 20

# Bytes for one compiled pattern, and the same again for its cache. MAX_PATTERNS of them in each cached schema fit into
# the function's memory. Enough for `^[^\s]{1,255}$`, which is large because of Unicode.
_PATTERN_BYTES: Final = 1 << 20
_MAX_MESSAGE: Final = 300
# Each complaint takes memory: for large data, only the first is reported.
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
    "Must match in linear time: without look-around and back-references, and without many repetitions of a large"
    " character class (use minLength and maxLength to limit the length)."
)


@dataclass(frozen=True, slots=True)
class Complaint:
    """One place of the data that violates the schema; `path` leads there."""

    path: tuple[str | int, ...]
    detail: str


@dataclass(frozen=True, slots=True)
class Schema:
    """A compiled schema."""

    most_visits: int
    _validator: Validator = field(repr=False)

    def complaints(self, data: Any, *, size: int) -> list[Complaint]:
        """Return how the data violates the schema, an empty list if it is valid; `size` is that of its JSON."""
        if self._validator.is_valid(data):
            return []
        if size * self.most_visits > _WORK_FOR_ALL:
            return [self._first(data)]
        return [_complaint(error) for error in islice(self._validator.iter_errors(data), MAX_COMPLAINTS)]

    def _first(self, data: Any) -> Complaint:
        from jsonschema_rs import ValidationError  # already loaded

        try:
            self._validator.validate(data)
        except ValidationError as error:
            return _complaint(error)
        raise RuntimeError("the data is invalid without an error")


def compiled(schema: dict[str, Any]) -> Schema:
    """Compile a schema, or raise `RefusedSchema` with the reason and the place."""
    # 15 MB of machine code that only workspaces with schemas of their own need.
    from jsonschema_rs import RegexOptions, ValidationError, validator_for

    draft = schema.get("$schema", _DEFAULT_DRAFT)
    if not isinstance(draft, str) or draft.removesuffix("#") not in _DRAFTS:
        raise RefusedSchema("Must be draft 2020-12 (the default), 2019-09 or 7.", ("$schema",))
    check_patterns(schema)
    try:
        validator = validator_for(
            schema,
            offline=True,  # or a schema could make us call any address
            mask="the value",  # errors may be logged, so they must not repeat customer data
            pattern_options=RegexOptions(size_limit=_PATTERN_BYTES, dfa_size_limit=_PATTERN_BYTES),
        )
    except ValidationError as error:
        detail = _NOT_LINEAR if getattr(error.kind, "format", None) == "regex" else _short(error.message)
        raise RefusedSchema(detail, tuple(error.instance_path)) from None
    return Schema(visits(schema, limit=MAX_VISITS), validator)


def _complaint(error: ValidationError) -> Complaint:
    return Complaint(tuple(error.instance_path), _short(error.message))


def _short(message: str) -> str:
    """Return a message as a sentence; long ones, such as lists of choices, are cut."""
    text = message if len(message) <= _MAX_MESSAGE else message[:_MAX_MESSAGE] + "…"
    return f"{text[:1].upper()}{text[1:]}."
