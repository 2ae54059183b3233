"""A refused value in a JSON document is found, wherever it is."""

from __future__ import annotations

from typing import Any, Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from posthorn.domain.errors import RefusedJson
from posthorn.wire import json_places
from posthorn.wire.ecmascript import MAX_DEPTH, parse
from tests import json_texts

UNSAFE: Final = ("9007199254740993", "-9007199254740993", "9007199254740993.0", "1e400", "9" * 40)
NOT_JSON: Final = ("NaN", "Infinity", "-Infinity")

KEYS: Final = st.text(max_size=5) | st.text("~/01\x00é\U0001f600", max_size=4)
BROKEN_TEXTS: Final = st.tuples(
    st.text(max_size=3), st.sampled_from(["\ud83d", "\ude00"]), st.text(max_size=3)
)

type Path = tuple[str | int, ...]


class Twin(str):
    """A key that is written like another, yet lies beside it in a dict."""

    __slots__ = ()
    __hash__ = object.__hash__

    def __eq__(self, other: object) -> bool:
        return self is other


def refusal(text: str) -> RefusedJson:
    with pytest.raises(RefusedJson) as refused:
        parse(text.encode())
    return refused.value


@st.composite
def objects_with(draw: st.DrawFn, pairs: dict[str, Any]) -> dict[str, Any]:
    """Return an object with these members and others between them."""
    others = st.dictionaries(
        KEYS.filter(lambda key: key not in set(map(str, pairs))), json_texts.plain_values
    )
    before = draw(others)
    return {
        **{key: before[key] for key in list(before)[::2]},
        **pairs,
        **{key: before[key] for key in list(before)[1::2]},
    }


@st.composite
def places(draw: st.DrawFn, value: Any) -> tuple[Any, Path]:
    """Put a value somewhere inside a random document, perhaps into the data of one event of a batch."""
    path: Path = ()
    for is_array in draw(st.lists(st.booleans(), max_size=6)):
        value, step = draw(_around(value, is_array=is_array))
        path = (step, *path)
    if draw(st.booleans()):
        at = draw(st.integers(0, 9))
        events = [{"event": "A", "data": {}} for _ in range(10)]
        events[at] = {"event": "A", "data": value}
        return {"events": events}, ("events", at, "data", *path)
    return value, path


@st.composite
def _around(draw: st.DrawFn, value: Any, *, is_array: bool) -> tuple[Any, str | int]:
    if is_array:
        before, after = draw(st.lists(json_texts.plain_values, max_size=3)), draw(st.integers(0, 2))
        return [*before, value, *range(after)], len(before)
    key = draw(KEYS)
    return draw(objects_with({key: value})), key


@given(data=st.data(), seed=json_texts.seeds, number=st.sampled_from(UNSAFE))
def test_an_unsafe_number_is_found(data: st.DataObject, seed: int, number: str) -> None:
    """The path leads to the one number that JavaScript would change."""
    document, path = data.draw(places(json_texts.Number(number)))
    refused = refusal(json_texts.text_of(document, seed))
    assert (refused.code, refused.path) == ("unsafe_number", path)


@given(data=st.data(), seed=json_texts.seeds, word=st.sampled_from(NOT_JSON))
def test_a_word_that_is_not_json_is_found(data: st.DataObject, seed: int, word: str) -> None:
    """NaN and the infinities have a place, as everything has that looks like a value."""
    document, path = data.draw(places(json_texts.Number(word)))
    refused = refusal(json_texts.text_of(document, seed))
    assert (refused.code, refused.path) == ("invalid_json", path)


@given(data=st.data(), seed=json_texts.seeds, key=KEYS)
def test_a_duplicate_key_is_found(data: st.DataObject, seed: int, key: str) -> None:
    """The path leads to the key that occurs twice, however either is spelled."""
    twins = data.draw(objects_with({key: 1, Twin(key): [2]}))
    document, path = data.draw(places(twins))
    refused = refusal(json_texts.text_of(document, seed))
    assert (refused.code, refused.path) == ("duplicate_key", (*path, key))


@given(data=st.data(), seed=json_texts.seeds, text=BROKEN_TEXTS.map("".join))
def test_half_a_surrogate_pair_is_found(data: st.DataObject, seed: int, text: str) -> None:
    """The path leads to the string that has it."""
    document, path = data.draw(places(text))
    refused = refusal(json_texts.text_of(document, seed))
    assert (refused.code, refused.path) == ("unpaired_surrogate", path)


@given(data=st.data(), seed=json_texts.seeds, key=BROKEN_TEXTS.map("".join))
def test_half_a_surrogate_pair_in_a_key_is_found_in_its_object(
    data: st.DataObject, seed: int, key: str
) -> None:
    """No answer can carry such a key, so the path ends at the object that has it."""
    document, path = data.draw(places(data.draw(objects_with({key: 1}))))
    refused = refusal(json_texts.text_of(document, seed))
    assert (refused.code, refused.path) == ("unpaired_surrogate", path)


@given(data=st.data(), seed=json_texts.seeds)
def test_a_path_ends_before_a_key_that_no_answer_can_carry(data: st.DataObject, seed: int) -> None:
    """What is wrong below a broken key is found at the object that has the key."""
    document, path = data.draw(places({"\ud83d": [json_texts.Number("1e400")]}))
    refused = refusal(json_texts.text_of(document, seed))
    assert (refused.code, refused.path) == ("unsafe_number", path)


@given(data=st.data(), opening=st.lists(st.sampled_from(["[", '{"a":']), min_size=1, max_size=3))
def test_a_value_far_too_deep_is_found(data: st.DataObject, opening: list[str]) -> None:
    """The path leads as deep as data may go, on the way to what lies deeper."""
    document, path = data.draw(places(json_texts.Number("".join(opening) * 50_000)))
    text = json_texts.text_of(document, 0)
    refused = refusal(text)
    way = [*path, *([0 if step == "[" else "a" for step in opening] * MAX_DEPTH)]
    assert (refused.code, refused.path) == ("too_deep", tuple(way[:MAX_DEPTH]))


@pytest.mark.parametrize(
    ("text", "path"),
    [
        ("1e400", ()),
        ('{"a":[1e400', ("a", 0)),  # nothing after the place is read
        ('{"a":[1e400], x}', ("a", 0)),
        ("[0,NaN\x00]", (1,)),
        ("[0,1e400e]", (1,)),
        ("[-Infinityx", (0,)),
        ('{"a":[0,1e400,1e401]}', ("a", 1)),  # the first one
        ('{"a":{"b":1,"b":2},"a":0}', ("a", "b")),  # the first object to end
        ('{"a":1,"c":{},"a":[1e400]}', ("a", 0)),  # of the two, the number is read first
        ('{"a":1,"b":1,"b":2,"a":3}', ("b",)),
        ('{"":1,"":2}', ("",)),
        ('[{},[],[[]],{"a":{}},NaN]', (4,)),
        ('{"1":{"1":[9007199254740993]}}', ("1", "1", 0)),
        ('["1e400",{"NaN":Infinity}]', (1, "NaN")),
    ],
)
def test_the_place_is_the_one_that_was_refused(text: str, path: Path) -> None:
    """Of several places, the path leads to the one that the code is about."""
    assert refusal(text).path == path


@pytest.mark.parametrize("text", ["", "{", '{"a":x}', '{"a":1 "b":2}', "[1,]"])
def test_what_is_not_json_has_no_place(text: str) -> None:
    """A text that cannot be parsed has a line and a column instead."""
    assert refusal(text).path is None


def test_a_path_that_is_too_long_is_cut() -> None:
    """An answer does not grow with the keys that were sent; what it points to still holds the refused value."""
    inside = '{"a":' * 20 + "1e400" + "}" * 20
    assert refusal(f'{{"b":{{"{"x" * json_places.MAX_LENGTH}":{inside}}}}}').path == ("b",)


def test_a_text_is_not_searched_forever() -> None:
    """A body that is made of nothing but commas is refused without a place rather than read for long."""
    text = "[" + "1," * json_places.MAX_TOKENS + "1e400]"
    refused = refusal(text)
    assert (refused.code, refused.path) == ("unsafe_number", None)
