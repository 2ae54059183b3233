"""Customers' schemas: what is checked, what is refused, and that none of them can burn CPU."""

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
    """Make a schema in which each definition uses the next one twice."""
    definitions: dict[str, Any] = {
        f"d{n}": {"allOf": [{"$ref": f"#/$defs/d{n + 1}"}] * 2} for n in range(levels)
    }
    return {"$ref": "#/$defs/d0", "$defs": {**definitions, f"d{levels}": {"type": "object"}}}


def test_data_that_fits_has_no_complaints() -> None:
    """An order as its schema has it passes."""
    assert paths(ORDER, {"id": "ord_1", "lines": [{"amount": 1}]}) == set()


def test_every_complaint_leads_to_its_place() -> None:
    """Each thing that is wrong is told with the way to it."""
    wrong = {"id": "1", "lines": [{"amount": 1}, {"amount": 0}, {"amount": "much"}], "more": 1}
    assert paths(ORDER, wrong) == {("id",), ("lines", 1, "amount"), ("lines", 2, "amount"), ()}


@given(secret=st.text("abcdef", min_size=12, max_size=40))
def test_a_complaint_does_not_repeat_the_data(secret: str) -> None:
    """What was sent does not come back in an error, which somebody may log."""
    data = {"id": secret, "lines": [{"amount": secret}, secret], "lines2": secret}
    found = compiled(ORDER).complaints(data, size=100)
    assert found
    assert not any(secret in one.detail for one in found)


def test_a_complaint_is_a_short_sentence() -> None:
    """A list of ten thousand choices is cut."""
    schema = {"properties": {"a": {"enum": [f"choice-{n}" for n in range(2000)]}}}
    (one,) = compiled(schema).complaints({"a": 1}, size=10)
    assert one.detail.startswith("The value is not one of ")
    assert len(one.detail) < 310


def test_of_many_complaints_only_some_are_told() -> None:
    """Twenty are enough to see what is wrong, and of large data the first."""
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
def test_what_is_not_taken_is_refused_where_it_stands(
    schema: dict[str, Any], path: tuple[str | int, ...]
) -> None:
    """The owner of a schema reads which part of it is the culprit."""
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
    """No address is ever called and no file is ever read for a schema."""
    with pytest.raises(RefusedSchema) as refused:
        compiled({"properties": {"a": {"$ref": reference}}, "$defs": {"a": {}}})
    if "://" in reference:  # refused before anything was tried
        assert "Retrieval is disabled" in refused.value.detail


@pytest.mark.parametrize(
    "pattern", ["(?=a)b", "(?!a)b", "(?<=a)b", "(?<!a)b", r"(a)\1", "(?>a+)b", "a{1000}{1000}{1000}", "("]
)
@pytest.mark.parametrize("word", ["pattern", "patternProperties"])
def test_a_pattern_that_would_need_backtracking_is_refused(word: str, pattern: str) -> None:
    """Only an engine that matches in linear time runs customers' patterns; what it cannot do is refused."""
    schema: dict[str, Any] = {word: pattern if word == "pattern" else {pattern: {}}}
    with pytest.raises(RefusedSchema) as refused:
        compiled(schema)
    assert "linear time" in refused.value.detail


@pytest.mark.parametrize("pattern", [r"^(a+)+$", r"^(a|aa)+$", r"^(.*a){12}$", r"(x+x+)+y"])
def test_patterns_that_kill_other_engines_are_harmless(pattern: str) -> None:
    """A backtracking engine would need longer than the age of the universe for these; here they just do not match."""
    data = {"text": "a" * 100_000 + "x" * 100_000 + "!"}
    assert paths({"properties": {"text": {"pattern": pattern}}}, data) <= {("text",)}


def test_the_number_of_patterns_has_a_limit() -> None:
    """Each pattern takes memory, so there may be twenty."""
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
    """Definitions that use the next one twice would look 2**levels times."""
    with pytest.raises(RefusedSchema) as refused:
        compiled(doubling(levels))
    assert str(MAX_VISITS) in refused.value.detail


def test_a_schema_that_doubles_with_the_depth_of_the_data_is_refused() -> None:
    """What looks twice at each level of the data looks 2**32 times at the deepest."""
    twice = {"anyOf": [{"properties": {"a": {"$ref": "#"}}}, {"properties": {"a": {"$ref": "#"}}}]}
    with pytest.raises(RefusedSchema):
        compiled(twice)


def test_unevaluated_properties_count_twice() -> None:
    """To find what is left over, whatever was evaluated is evaluated again."""
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
    """A reference that comes back to the same place of the data has no end."""
    with pytest.raises(RefusedSchema):
        compiled(schema)


def test_a_long_chain_of_references_is_refused_and_no_crash() -> None:
    """A schema within the size limit can hold a thousand references in a row."""
    chain = {f"d{n}": {"$ref": f"#/$defs/d{n + 1}"} for n in range(1500)}
    with pytest.raises(RefusedSchema):
        visits({"$ref": "#/$defs/d0", "$defs": {**chain, "d1500": {}}}, limit=10_000)


def test_a_tree_is_taken() -> None:
    """A type that contains itself is the usual case, and looks at each of its nodes once."""
    assert visits(TREE, limit=MAX_VISITS) == 2  # the reference, and what it refers to
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
        (doubling(3), 2 + 4 + 8 + 16),  # at each level the reference and what it refers to
    ],
)
def test_the_count_is_that_of_the_worst_place(schema: dict[str, Any], count: int) -> None:
    """Alternatives add up, named properties do not, and values are no schemas."""
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
    """Whatever a customer writes ends in a refusal or in a verdict, and in nothing else."""
    try:
        ready = compiled(schema)
    except RefusedSchema:
        return
    assert 1 <= ready.most_visits <= MAX_VISITS
    ready.complaints(data, size=100)
