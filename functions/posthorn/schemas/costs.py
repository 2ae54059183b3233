"""Bounds the cost of a JSON Schema: how many subschemas can visit one place of the data.

With references, the cost can be exponential in the schema's size or in the depth of the data: in a schema of thirty
lines, in which each definition uses the next one twice, it is 2**30 visits.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final
from urllib.parse import unquote

from posthorn.domain.errors import RefusedSchema
from posthorn.wire.ecmascript import MAX_DEPTH

if TYPE_CHECKING:
    from collections.abc import Iterator

_ALL_HERE: Final = ("allOf", "anyOf", "oneOf")  # lists of schemas for the current place
_ONE_HERE: Final = ("not", "if", "then", "else")
_SOME_HERE: Final = ("dependentSchemas", "dependencies")  # schemas by name, for the current place
_ONE_BELOW: Final = (
    "additionalProperties",
    "unevaluatedProperties",
    "propertyNames",
    "additionalItems",
    "unevaluatedItems",
    "contains",
)
_REFUSED: Final = {
    "$dynamicRef": "Must use $ref instead of $dynamicRef.",
    "$recursiveRef": "Must use $ref instead of $recursiveRef.",
}

type _Path = tuple[str | int, ...]


def visits(schema: dict[str, Any], *, limit: int) -> int:
    """Return how many subschemas at most visit one place of the data, for any data.

    Raises `RefusedSchema` if there are more than `limit`, or if the number cannot be determined.
    """
    return _Count(schema, limit).most()


class _Count:
    """The visit counts of one schema, each computed once."""

    def __init__(self, root: dict[str, Any], limit: int) -> None:
        self._root = root
        self._limit = limit
        self._known: dict[tuple[int, int], int] = {}

    def most(self) -> int:
        try:
            return max(self._visits(self._root, (), below) for below in range(MAX_DEPTH + 1))
        except RecursionError:
            raise RefusedSchema("Must have fewer references in a row.", ()) from None

    def _visits(self, schema: Any, at: _Path, below: int) -> int:
        """Return how often a place `below` levels deeper is visited, starting from this subschema."""
        if not isinstance(schema, dict):  # true or false
            return 0 if below else 1
        known = self._known.get((id(schema), below))
        if known is not None:
            if known < 0:
                raise RefusedSchema("Must not refer to itself without going deeper into the data.", at)
            return known
        self._known[id(schema), below] = -1  # being counted
        self._check(schema, at)
        here = sum(self._visits(one, path, below) for one, path in self._here(schema, at))
        # Finding the unevaluated places visits all evaluated ones once more.
        again = 2 if "unevaluatedProperties" in schema or "unevaluatedItems" in schema else 1
        count = (0 if below else 1) + here * again
        if below:
            count += self._deeper(schema, at, below - 1)
        if count > self._limit:
            raise RefusedSchema(
                f"Must visit each place of the data at most {self._limit} times, including through references.",
                at,
            )
        self._known[id(schema), below] = count
        return count

    def _deeper(self, schema: dict[str, Any], at: _Path, below: int) -> int:
        """Return the count for the children of a place; each child is visited by only one of the named schemas."""
        count = sum(self._visits(schema[word], (*at, word), below) for word in _ONE_BELOW if word in schema)
        for word in ("properties", "prefixItems"):
            count += max((self._visits(one, path, below) for one, path in _each(schema, word, at)), default=0)
        for one, path in _each(schema, "patternProperties", at):  # a name may match all patterns
            count += self._visits(one, path, below)
        items = schema.get("items")
        if isinstance(items, list):  # the name of prefixItems before 2020-12
            return count + max(
                (self._visits(one, (*at, "items", n), below) for n, one in enumerate(items)), default=0
            )
        return count if items is None else count + self._visits(items, (*at, "items"), below)

    def _here(self, schema: dict[str, Any], at: _Path) -> Iterator[tuple[Any, _Path]]:
        if "$ref" in schema:
            yield self._referred(schema["$ref"], (*at, "$ref"))
        for word in _ALL_HERE:
            yield from _each(schema, word, at)
        for word in _ONE_HERE:
            if word in schema:
                yield schema[word], (*at, word)
        for word in _SOME_HERE:
            for one, path in _each(schema, word, at):
                if not isinstance(one, list):  # a list names properties
                    yield one, path

    def _referred(self, reference: str, at: _Path) -> tuple[Any, _Path]:
        if reference != "#" and not reference.startswith("#/"):
            raise RefusedSchema("Must be `#` or begin with `#/`: references must stay within the schema.", at)
        found: Any = self._root
        path: list[str | int] = []
        for step in reference.split("/")[1:]:
            name = _unescaped(step)
            path.append(name)
            try:
                found = found[int(name)] if isinstance(found, list) else found[name]
            except (LookupError, TypeError, ValueError):
                raise RefusedSchema("Must refer to a place that exists in the schema.", at) from None
        return found, tuple(path)

    def _check(self, schema: dict[str, Any], at: _Path) -> None:
        for word, detail in _REFUSED.items():
            if word in schema:
                raise RefusedSchema(detail, (*at, word))
        if "$id" in schema and schema is not self._root:
            raise RefusedSchema("Must not be set here: only the root schema can have an $id.", (*at, "$id"))


def _each(schema: dict[str, Any], word: str, at: _Path) -> Iterator[tuple[Any, _Path]]:
    """Yield the schemas under a keyword, in a list or by name."""
    found = schema.get(word, ())
    for step, one in found.items() if isinstance(found, dict) else enumerate(found):
        yield one, (*at, word, step)


def _unescaped(step: str) -> str:
    return unquote(step).replace("~1", "/").replace("~0", "~")
