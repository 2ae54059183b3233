"""JSON that is too large for its place is refused before it is written."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import pytest
from hypothesis import example, given

from posthorn.domain.errors import TooLargeJson
from posthorn.domain.limits import MAX_DATA
from posthorn.wire.ecmascript import parse, stringify
from tests import json_texts

if TYPE_CHECKING:
    from collections.abc import Iterator


class Counted(list[Any]):
    """An array that counts which of its elements are read."""

    def __init__(self, elements: list[Any]) -> None:
        super().__init__(elements)
        self.read = 0

    def __iter__(self) -> Iterator[Any]:
        for element in super().__iter__():
            self.read += 1
            yield element


@given(text=json_texts.objects)
@example('{"a":1e16}')
@example('{"":[0,1,2,3,4,5,6,7,8,9]}')
@example('{"a":1e20,"b":-1E15}')
@example('{"a":"\\u0041\\u0042\\u0043\\/"}')
@example('{ "a" : [ 1.0 , 2.50 , 0.0001e4 ] , "b" : { } }')
@example('{"a":"é","b":"田中","c":"\\ud83d\\ude00"}')
@example('{"10":[],"2":{},"":[[[]],[{}]]}')
def test_the_size_of_what_is_written_decides(text: str) -> None:
    """A value passes at exactly its size in UTF-8 and is refused one byte below, however it was sent."""
    value = parse(text.encode())
    size = len(stringify(value).encode())
    assert stringify(value, limit=size) == stringify(value)
    with pytest.raises(TooLargeJson):
        stringify(value, limit=size - 1)


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ('{"n":[' + ",".join(["1e16"] * 14_563) + "]}", 262_141),  # 72,821 bytes grow
        ('{"n":"' + "\\u0041" * 262_136 + '"}', 262_144),  # 1,572,824 bytes shrink
        ('{"n":"' + "é" * 131_068 + '"}', 262_144),
    ],
    ids=["numbers that grow", "escapes that shrink", "letters of two bytes"],
)
def test_the_size_of_what_was_sent_does_not(before: str, after: int) -> None:
    """Texts that grow or shrink when they are written are measured as written."""
    value = parse(before.encode())
    assert len(stringify(value, limit=MAX_DATA).encode()) == after
    with pytest.raises(TooLargeJson):
        stringify({**value, "more": None}, limit=MAX_DATA)


@pytest.mark.parametrize("element", [1e16, 0, "", None, [], {}])
def test_an_array_that_is_too_long_is_not_read(element: Any) -> None:
    """A million elements cannot fit, so none of them is written."""
    values = Counted([element] * 1_000_000)
    with pytest.raises(TooLargeJson):
        stringify({"n": values}, limit=MAX_DATA)
    assert values.read == 0


@pytest.mark.parametrize("width", [1, 2, 1_000])
def test_arrays_in_an_array_are_read_only_while_they_can_fit(width: int) -> None:
    """Each array counts what was written before it, so the work ends at the limit and not at the end."""
    inner = [Counted([0] * width) for _ in range(300_000 // width)]
    groups = Counted([inner[at : at + 1_000] for at in range(0, len(inner), 1_000)])
    with pytest.raises(TooLargeJson):
        stringify(groups, limit=MAX_DATA)
    assert 0 < sum(one.read for one in inner) <= MAX_DATA // 2


def test_an_object_that_is_too_long_is_not_read() -> None:
    """The keys of an object count, too."""
    value = {"first": Counted([0])} | {f"k{number}": 0 for number in range(MAX_DATA)}
    with pytest.raises(TooLargeJson):
        stringify(value, limit=MAX_DATA)
    first: Final = value["first"]
    assert isinstance(first, Counted)
    assert first.read == 0
