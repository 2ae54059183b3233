"""Customers' schemas: what they check, which are refused, and that none of them can burn CPU."""

from __future__ import annotations

from typing import Any, Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from posthorn.domain.errors import RefusedSchema
from posthorn.schemas.costs import visits
from posthorn.schemas.patterns import MAX_PATTERNS, MAX_REPETITIONS
from posthorn.schemas.schema import MAX_COMPLAINTS, MAX_VISITS, compiled
from posthorn.wire.ecmascript import stringify

ORDER: Final[dict[str, Any]] = {
    "type": "object",
    "properties": {
        "id": {"type": "string", "pattern": "^ord_[0-9]+$"},
        "lines": {"type": "array", "items": {"$ref": "#/$defs/line"}},
    },
    "required": ["id"],
    "additionalProperties": False,
    "$defs": {"line": {"type": "object", "properties": {"amount": {"type": "integer", "minimum": 1}}}},
}
TREE: Final[dict[str, Any]] = {
    "type": "object",
    "properties": {"left": {"$ref": "#"}, "right": {"$ref": "#"}, "children": {"items": {"$ref": "#"}}},
}


def paths(schema: dict[str, Any], data: Any) -> set[tuple[str | int, ...]]:
    return {one.path for one in compiled(schema).complaints(data, size=len(stringify(data)))}


def doubling(levels: int) -> dict[str, Any]:
    """Return a schema in which each definition refers to the next one twice."""
    definitions: dict[str, Any] = {
        f"d{n}": {"allOf": [{"$ref": f"#/$defs/d{n + 1}"}] * 2} for n in range(levels)
    }
    return {"$ref": "#/$defs/d0", "$defs": {**definitions, f"d{levels}": {"type": "object"}}}


def test_valid_data_has_no_errors() -> None:
    """A valid order passes without errors."""
    assert paths(ORDER, {"id": "ord_1", "lines": [{"amount": 1}]}) == set()


def test_every_error_has_a_pointer() -> None:
    """Each error has a pointer to the value that is wrong."""
    wrong = {"id": "1", "lines": [{"amount": 1}, {"amount": 0}, {"amount": "much"}], "more": 1}
    assert paths(ORDER, wrong) == {("id",), ("lines", 1, "amount"), ("lines", 2, "amount"), ()}


@given(secret=st.text("abcdef", min_size=12, max_size=40))
def test_an_error_does_not_repeat_the_data(secret: str) -> None:
    """Errors never repeat the data, since they may be logged."""
    data = {"id": secret, "lines": [{"amount": secret}, secret], "lines2": secret}
    found = compiled(ORDER).complaints(data, size=100)
    assert found
    assert not any(secret in one.detail for one in found)


def test_an_error_is_a_short_sentence() -> None:
    """The error for an enum of ten thousand values is truncated."""
    schema = {"properties": {"a": {"enum": [f"choice-{n}" for n in range(2000)]}}}
    (one,) = compiled(schema).complaints({"a": 1}, size=10)
    assert one.detail.startswith("The value is not one of ")
    assert len(one.detail) < 310


def test_at_most_twenty_errors_are_returned() -> None:
    """At most twenty errors are returned; for large data, the first twenty."""
    schema = compiled({"properties": {"a": {"items": {"type": "integer"}}}})
    data = {"a": ["x"] * 100}
    assert len(schema.complaints(data, size=400)) == MAX_COMPLAINTS
    assert len(schema.complaints(data, size=1_000_000)) == 1


@pytest.mark.parametrize(
    ("schema", "path"),
    [
        ({"properties": {"a": {"type": "text"}}}, ("properties", "a", "type")),
        ({"minLength": -1}, ("minLength",)),
        ({"$schema": "https://example.com/my-own"}, ("$schema",)),
        ({"$schema": "http://json-schema.org/draft-04/schema#"}, ("$schema",)),
        ({"$schema": 7}, ("$schema",)),
        ({"properties": {"a": {"$id": "https://example.com/a"}}}, ("properties", "a", "$id")),
        ({"properties": {"a": {"$dynamicRef": "#"}}}, ("properties", "a", "$dynamicRef")),
        (
            {"$schema": "https://json-schema.org/draft/2019-09/schema", "items": {"$recursiveRef": "#"}},
            ("items", "$recursiveRef"),
        ),
        ({"$ref": "https://json-schema.org/draft/2020-12/schema"}, ("$ref",)),
        ({"$anchor": "a", "items": {"$ref": "#a"}}, ("items", "$ref")),
    ],
)
def test_unsupported_parts_are_pointed_at(schema: dict[str, Any], path: tuple[str | int, ...]) -> None:
    """The error points at the part of the schema that is not supported."""
    with pytest.raises(RefusedSchema) as refused:
        compiled(schema)
    assert refused.value.path == path


@pytest.mark.parametrize(
    "reference",
    [
        "https://example.com/schema.json",
        "http://169.254.169.254/latest/meta-data/",
        "file:///etc/passwd",
        "other.json#/$defs/a",
        "#/$defs/nothing",
        "#/$defs/a/0",
    ],
)
def test_a_reference_stays_within_its_schema(reference: str) -> None:
    """A schema never causes a network request or a file read."""
    with pytest.raises(RefusedSchema) as refused:
        compiled({"properties": {"a": {"$ref": reference}}, "$defs": {"a": {}}})
    if "://" in reference:  # refused before anything was fetched
        assert "Retrieval is disabled" in refused.value.detail


@pytest.mark.parametrize(
    "pattern", ["(?=a)b", "(?!a)b", "(?<=a)b", "(?<!a)b", r"(a)\1", "(?>a+)b", "a{1000}{1000}{1000}", "("]
)
@pytest.mark.parametrize("word", ["pattern", "patternProperties"])
def test_a_pattern_that_would_need_backtracking_is_refused(word: str, pattern: str) -> None:
    """Patterns run only in a linear-time engine; a pattern that it does not support is refused."""
    schema: dict[str, Any] = {word: pattern if word == "pattern" else {pattern: {}}}
    with pytest.raises(RefusedSchema) as refused:
        compiled(schema)
    assert "linear time" in refused.value.detail


@pytest.mark.parametrize("pattern", [r"^(a+)+$", r"^(a|aa)+$", r"^(.*a){12}$", r"(x+x+)+y"])
def test_patterns_that_kill_other_engines_are_harmless(pattern: str) -> None:
    """Patterns that take a backtracking engine longer than the age of the universe simply do not match."""
    data = {"text": "a" * 100_000 + "x" * 100_000 + "!"}
    assert paths({"properties": {"text": {"pattern": pattern}}}, data) <= {("text",)}


def test_the_number_of_patterns_has_a_limit() -> None:
    """A schema may have up to twenty patterns, since each takes memory."""
    patterns: dict[str, Any] = {f"p{n}": {"pattern": "^a$"} for n in range(MAX_PATTERNS)}
    compiled({"properties": patterns})
    with pytest.raises(RefusedSchema):
        compiled({"properties": {**patterns, "more": {"patternProperties": {"^b$": {}}}}})


@pytest.mark.parametrize(
    "schema",
    [
        {"patternProperties": {f"^[^\\s]{{1,255}}{n}$": {} for n in range(1400)}},
        {"properties": {f"p{n}": {"pattern": "^a$"} for n in range(MAX_PATTERNS + 1)}},
        {"items": [{"anyOf": [{"pattern": "^a$"}] * (MAX_PATTERNS + 1)}]},
        {"x-unknown": {"patternProperties": {f"p{n}": {} for n in range(MAX_PATTERNS + 1)}}},
        {"pattern": f"a{{{MAX_REPETITIONS + 1}}}"},
        {"properties": {f"p{n}": {"pattern": "^[a-z]{1,600}$"} for n in range(MAX_PATTERNS)}},
        {"pattern": "a{" + "9" * 5000 + "}"},
    ],
)
def test_patterns_are_counted_before_any_is_compiled(
    schema: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Compiling 1,400 patterns takes seconds and a gigabyte, so a schema that has too many never gets that far."""

    def compile_it(*_: object, **__: object) -> None:
        raise AssertionError("the patterns were compiled")

    monkeypatch.setattr("jsonschema_rs.validator_for", compile_it)
    with pytest.raises(RefusedSchema) as refusal:
        compiled(schema)
    assert refusal.value.path


def test_data_that_looks_like_patterns_is_not_counted() -> None:
    """Properties may be called `pattern` or `enum`, and examples may hold anything."""
    names = {name: {"type": "string"} for name in ("pattern", "patternProperties", "enum", "const")}
    data = {"pattern": "a{99999}", "patternProperties": {f"p{n}": {} for n in range(99)}}
    assert compiled({"properties": names, "examples": [data], "default": data}).most_visits == 1


@pytest.mark.parametrize("levels", [8, 20, 64])
def test_a_schema_that_doubles_itself_is_refused(levels: int) -> None:
    """Definitions that each refer twice to the next would cause 2**levels checks."""
    with pytest.raises(RefusedSchema) as refused:
        compiled(doubling(levels))
    assert str(MAX_VISITS) in refused.value.detail


def test_a_schema_that_doubles_with_the_depth_of_the_data_is_refused() -> None:
    """A schema that checks each level of the data twice would make 2**32 checks at the deepest."""
    twice = {"anyOf": [{"properties": {"a": {"$ref": "#"}}}, {"properties": {"a": {"$ref": "#"}}}]}
    with pytest.raises(RefusedSchema):
        compiled(twice)


def test_unevaluated_properties_count_twice() -> None:
    """`unevaluatedProperties` counts twice, because it evaluates its siblings again."""
    nested: dict[str, Any] = {"type": "object"}
    for _ in range(12):
        nested = {"allOf": [nested], "unevaluatedProperties": False}
    with pytest.raises(RefusedSchema):
        compiled(nested)


@pytest.mark.parametrize(
    "schema",
    [
        {"$ref": "#"},
        {"allOf": [{"$ref": "#"}]},
        {"$ref": "#/$defs/a", "$defs": {"a": {"$ref": "#/$defs/b"}, "b": {"$ref": "#/$defs/a"}}},
    ],
)
def test_a_schema_that_goes_in_circles_is_refused(schema: dict[str, Any]) -> None:
    """A reference that returns to the same place in the data would never end."""
    with pytest.raises(RefusedSchema):
        compiled(schema)


def test_a_long_chain_of_references_is_refused_and_no_crash() -> None:
    """A schema within the size limit can chain a thousand references; it is refused without a crash."""
    chain = {f"d{n}": {"$ref": f"#/$defs/d{n + 1}"} for n in range(1500)}
    with pytest.raises(RefusedSchema):
        visits({"$ref": "#/$defs/d0", "$defs": {**chain, "d1500": {}}}, limit=10_000)


def test_a_tree_is_taken() -> None:
    """A recursive type is common, and checks each node of the data once."""
    assert visits(TREE, limit=MAX_VISITS) == 2  # the reference and its target
    assert paths(TREE, {"left": {"right": {"children": [{"left": 1}]}}}) == {
        ("left", "right", "children", 0, "left")
    }


@pytest.mark.parametrize(
    ("schema", "count"),
    [
        ({}, 1),
        ({"allOf": [{}, {}], "anyOf": [{}], "oneOf": [{}], "not": {}, "if": {}, "then": {}, "else": {}}, 9),
        ({"properties": {"a": {}, "b": {"allOf": [{}, {}]}}}, 3),
        ({"patternProperties": {"a": {}, "b": {}}, "additionalProperties": {}}, 3),
        ({"prefixItems": [{}, {}], "items": {}, "contains": {}}, 3),
        ({"$schema": "http://json-schema.org/draft-07/schema#", "items": [{}, {}], "additionalItems": {}}, 2),
        ({"dependentSchemas": {"a": {}}, "dependencies": {"a": {}, "b": ["a"]}}, 3),
        ({"enum": [{"allOf": [{}, {}]}], "const": {"anyOf": [{}, {}]}, "default": {"not": {}}}, 1),
        (doubling(3), 2 + 4 + 8 + 16),  # at each level, the reference and its target
    ],
)
def test_the_count_is_that_of_the_worst_place(schema: dict[str, Any], count: int) -> None:
    """The count is that of the worst place: alternatives add up, properties do not, values do not count."""
    assert visits(schema, limit=MAX_VISITS) == count


@given(
    st.recursive(
        st.sampled_from([{}, True, False, {"type": "string"}, {"$ref": "#"}, {"$ref": "#/properties/a"}]),
        lambda inner: (
            st.dictionaries(
                st.sampled_from(["not", "items", "additionalProperties", "if", "then", "contains"]),
                inner,
                max_size=3,
            )
            | st.builds(lambda ones: {"allOf": ones}, st.lists(inner, min_size=1, max_size=4))
            | st.builds(lambda ones: {"properties": ones}, st.dictionaries(st.sampled_from("ab"), inner))
        ),
        max_leaves=12,
    ).filter(lambda schema: isinstance(schema, dict)),
    st.recursive(
        st.integers() | st.text(max_size=3), lambda inner: st.dictionaries(st.sampled_from("ab"), inner)
    ),
)
def test_a_schema_is_either_refused_or_works(schema: dict[str, Any], data: Any) -> None:
    """Any schema is either refused or validates; nothing else can happen."""
    try:
        ready = compiled(schema)
    except RefusedSchema:
        return
    assert 1 <= ready.most_visits <= MAX_VISITS
    ready.complaints(data, size=100)
