"""The patterns of a JSON Schema, counted before any is compiled: compiling is where they cost time and memory."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

from posthorn.domain.errors import RefusedSchema

if TYPE_CHECKING:
    from collections.abc import Iterator

MAX_PATTERNS: Final = 20

MAX_REPETITIONS: Final = 10_000
"""The sum of all `{n}` and `{m,n}`, by their upper bounds: each unrolls into that many states."""

_REPETITION: Final = re.compile(r"{(\d+)(?:,(\d*))?}", re.ASCII)
_NAMED: Final = frozenset(
    {"properties", "patternProperties", "$defs", "definitions", "dependentSchemas", "dependencies"}
)
_DATA: Final = frozenset({"const", "enum", "default", "examples"})

type _Path = tuple[str | int, ...]


def check_patterns(schema: dict[str, Any]) -> None:
    """Raise `RefusedSchema` for a schema with too many patterns or repetitions; it need not be valid otherwise."""
    repetitions = 0
    for number, (pattern, at) in enumerate(_patterns(schema, ()), 1):
        if number > MAX_PATTERNS:
            raise RefusedSchema(f"A schema can have at most {MAX_PATTERNS} patterns.", at)
        for found in _REPETITION.finditer(pattern):
            # of a number with more digits, the first seven are too many already
            repetitions += int((found[2] or found[1])[:7])
        if repetitions > MAX_REPETITIONS:
            detail = f"The counted repetitions of all patterns must add up to at most {MAX_REPETITIONS:,}."
            raise RefusedSchema(detail, at)


def _patterns(schema: Any, at: _Path) -> Iterator[tuple[str, _Path]]:
    """Yield every pattern with its place, wherever a subschema may stand; the nesting is bounded by the body's."""
    if isinstance(schema, list):
        for index, one in enumerate(schema):
            yield from _patterns(one, (*at, index))
    if not isinstance(schema, dict):
        return
    for word, value in schema.items():
        if word == "pattern" and isinstance(value, str):
            yield value, (*at, word)
        elif word in _NAMED and isinstance(value, dict):
            for name, one in value.items():
                if word == "patternProperties":
                    yield name, (*at, word, name)
                yield from _patterns(one, (*at, word, name))
        elif word not in _DATA:
            yield from _patterns(value, (*at, word))
