"""Rows of EventsTable: what is written is read back, from the table or the stream; the rest is malformed."""

from __future__ import annotations

import base64
import gzip
import json
import random
import zlib
from dataclasses import replace
from typing import Any, Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from posthorn.domain.errors import Malformed
from posthorn.domain.ids import shard_of
from posthorn.domain.limits import MAX_DATA
from posthorn.domain.models import Event
from posthorn.stores.events import from_item, to_item
from posthorn.wire.ecmascript import parse, stringify
from tests import json_texts

EXPIRES_AT: Final = 1_684_251_900
EVENT: Final = Event(
    id="evt_01GY5BMP7FBC0DKZTXDZJ7EQ6S",
    channel="wksp_01GY5BMP7FBC0DKZTXDZJ7EQ6S",
    workspace="wksp_01GY5BMP7FBC0DKZTXDZJ7EQ6S",
    type="contact.created",
    data='{"contact":{"id":"cont_1"}}',
    created_at="2023-04-16T15:45:00Z",
)
ROW_LIMIT: Final = 400 * 1024


def row(**changes: Any) -> dict[str, Any]:
    return {**to_item(EVENT, expires_at=EXPIRES_AT), **changes}


def as_streamed(item: dict[str, Any]) -> Any:
    """Return a row as Lambda passes stream records: JSON, with binary attributes in base64."""
    return json.loads(json.dumps(item, default=lambda raw: base64.b64encode(raw).decode()))


def packed(raw: bytes) -> dict[str, Any]:
    return {"data": {"B": gzip.compress(raw)}}


def test_a_row_says_what_it_is() -> None:
    """Key, version, fields and expiry are as documented."""
    assert row() == {
        "pk": {"S": f"{EVENT.channel}#{shard_of(EVENT.id)}"},
        "sk": {"S": EVENT.id},
        "v": {"N": "1"},
        "workspace": {"S": EVENT.workspace},
        "type": {"S": "contact.created"},
        "data": {"S": EVENT.data},
        "created_at": {"S": "2023-04-16T15:45:00Z"},
        "expires_at": {"N": str(EXPIRES_AT)},
    }


@given(text=json_texts.objects, repeated=st.integers(1, 50))
def test_an_event_comes_back_as_it_was(text: str, repeated: int) -> None:
    """The same event is read back from the table and from the stream, whether small or large."""
    one = stringify(parse(text.encode()))
    event = replace(EVENT, data=f'{{"data":[{",".join([one] * repeated)}]}}')
    item = to_item(event, expires_at=EXPIRES_AT)
    assert from_item(item) == event
    assert from_item(as_streamed(item)) == event


def test_a_row_without_its_data_is_not_an_event_to_send() -> None:
    """An expunged row is refused where data is needed, never read as an event with empty data."""
    item = {name: value for name, value in row().items() if name != "data"}
    with pytest.raises(Malformed):
        from_item({**item, "expunged_at": {"N": "1681659900000"}})


def test_data_that_gzip_makes_smaller_is_stored_as_gzip() -> None:
    """Repetitive data takes a fraction of its size, and any gzip reader can read it."""
    data = json.dumps({"list": ["the same again"] * 500}, separators=(",", ":"))
    stored = to_item(replace(EVENT, data=data), expires_at=EXPIRES_AT)["data"]["B"]
    assert len(stored) < len(data) / 10
    assert gzip.decompress(stored).decode() == data


def test_data_that_gzip_makes_no_smaller_is_stored_as_text() -> None:
    """Short data is stored as text, readable in the console."""
    assert row()["data"] == {"S": EVENT.data}


@given(size=st.integers(0, 300), seed=st.integers(0, 2**32))
def test_the_smaller_form_is_stored(size: int, seed: int) -> None:
    """No event takes more space than its plain text."""
    noise = random.Random(seed).randbytes(size).hex()  # noqa: S311 - a size, not a secret
    data = f'{{"noise":"{noise}"}}'
    ((_, stored),) = to_item(replace(EVENT, data=data), expires_at=EXPIRES_AT)["data"].items()
    assert len(stored) <= len(data)


def test_the_largest_event_fits_into_a_row() -> None:
    """256 KB of incompressible data stays below DynamoDB's 400 KB and is read back."""
    noise = base64.b85encode(random.Random(1).randbytes(MAX_DATA)).decode()  # noqa: S311 - a size, not a secret
    data = f'{{"noise":"{noise.replace(chr(92), "")}'[: MAX_DATA - 2] + '"}'
    event = replace(EVENT, data=data)
    item = to_item(event, expires_at=EXPIRES_AT)
    assert len(json.dumps(as_streamed(item))) < ROW_LIMIT
    assert from_item(as_streamed(item)) == event


def test_data_of_exactly_the_largest_size_is_read() -> None:
    """Data of exactly the maximum size is accepted."""
    assert MAX_DATA == 256 * 1024
    data = f'{{"a":"{"x" * (MAX_DATA - 8)}"}}'
    assert len(data) == MAX_DATA
    event = replace(EVENT, data=data)
    assert from_item(to_item(event, expires_at=EXPIRES_AT)) == event


@pytest.mark.parametrize(
    "changes",
    [
        packed(b"x" * (MAX_DATA + 1)),
        packed(b"\x00" * (100 * 1024 * 1024)),
        {"data": {"B": gzip.compress(EVENT.data.encode())[:-1]}},
        {"data": {"B": gzip.compress(EVENT.data.encode())[:-9]}},
        {"data": {"B": gzip.compress(EVENT.data.encode())[:10]}},
        {"data": {"B": b""}},
        {"data": {"B": EVENT.data.encode()}},
        {"data": {"B": zlib.compress(EVENT.data.encode())}},
        {"data": {"B": gzip.compress(EVENT.data.encode()).replace(b"\x1f\x8b", b"\x1f\x8c")}},
        packed(b"\xff\xfe"),
    ],
    ids=[
        "one byte too much",
        "a bomb",
        "without its last byte",
        "without its checksum",
        "a header only",
        "nothing",
        "no gzip",
        "zlib",
        "another magic number",
        "no UTF-8",
    ],
)
def test_data_that_cannot_be_unpacked_is_malformed(changes: dict[str, Any]) -> None:
    """A gzip bomb, truncated data and a forgery are all refused before harm is done, from the stream too."""
    with pytest.raises(Malformed):
        from_item(row(**changes))
    with pytest.raises(Malformed):
        from_item(as_streamed(row(**changes)))


@pytest.mark.parametrize(
    "changes",
    [
        # keys
        {"pk": {"S": f"{EVENT.channel}#{(shard_of(EVENT.id) + 1) % 8}"}},
        {"pk": {"S": f"{EVENT.channel}#"}},
        {"pk": {"S": f"{EVENT.channel}#x"}},
        {"pk": {"S": f"{EVENT.channel}#0{shard_of(EVENT.id)}"}},
        {"pk": {"S": EVENT.channel}},
        {"pk": {"S": f"#{shard_of(EVENT.id)}"}},
        {"pk": {"S": ""}},
        {"sk": {"S": "evt_1"}},
        {"sk": {"S": ""}},
        {"sk": {"S": EVENT.id.replace("evt", "wh")}},
        {"sk": {"S": EVENT.id.lower()}},
        # versions
        {"v": {"N": "2"}},
        {"v": {"N": "x"}},
        {"v": {"N": "1.5"}},
        {"v": {"S": "1"}},
        # kinds
        {"workspace": {"N": "1"}},
        {"type": {"S": None}},
        {"type": {}},
        {"type": "contact.created"},
        {"created_at": {"L": []}},
        {"data": {"B": "not base64!"}},
        {"data": {"B": None}},
        {"data": {"S": 5}},
        {"data": {"N": "1"}},
        {"data": {}},
        {"data": []},
        {"data": "S"},
        {"data": None},
        {"data": 5},
    ],
    ids=lambda changes: json.dumps(changes)[:40],
)
def test_other_rows_are_malformed(changes: dict[str, Any]) -> None:
    """A wrong shard, an unknown version or a wrong type makes a row malformed."""
    with pytest.raises(Malformed):
        from_item(row(**changes))


@pytest.mark.parametrize("name", ["pk", "sk", "v", "workspace", "type", "data", "created_at"])
def test_a_row_that_lacks_something_is_malformed(name: str) -> None:
    """A row with a missing field is malformed; no value is made up."""
    item = row()
    del item[name]
    with pytest.raises(Malformed):
        from_item(item)


_scraps: Final = (
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5) | st.binary(max_size=5)
)
_attributes: Final = _scraps | st.dictionaries(st.sampled_from(["S", "N", "B", "L", "M", "BOOL"]), _scraps)


@given(changes=st.dictionaries(st.sampled_from(sorted(row())), _attributes, min_size=1))
def test_any_row_is_read_or_malformed(changes: dict[str, Any]) -> None:
    """Any row is read or malformed; no other exception is raised."""
    try:
        from_item(row(**changes))
    except Malformed:
        return


def test_unknown_fields_are_ignored() -> None:
    """Unknown attributes of the same version are ignored."""
    assert from_item(row(invented={"S": "later"})) == EVENT
