"""Notifications that cannot become events are malformed; no other error occurs, and no content leaks."""

from __future__ import annotations

from typing import Any, Final

import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

from posthorn.domain.errors import Malformed
from posthorn.domain.limits import MAX_DATA
from posthorn.email.events import event_of
from posthorn.wire.ecmascript import parse, stringify
from tests import ses_examples as ses
from tests.ses_examples import NAMES, parts, replaced


def test_a_reason_holds_nothing_of_the_mail() -> None:
    """Reasons are logged, so they contain no address or subject."""
    told = ses.example("bounce")
    secret = "someone@private.example"
    reasons = []
    for path in parts(told):
        for value in (secret, [secret], {secret: secret}):
            try:
                event_of(replaced(told, path, value) if path else {secret: secret})
            except Malformed as error:
                reasons.append(str(error))
    assert len(set(reasons)) > 5
    assert [reason for reason in reasons if secret in reason] == []


def test_an_event_may_have_as_much_as_the_table_takes() -> None:
    """The largest event that fits into a row is accepted whole; one byte more is malformed."""
    told = ses.example("bounce")
    size = len(event_of(told).data.encode())
    path = "bounce/reportingMTA"
    filled = parts(told)[path] + "ü" * ((MAX_DATA - size) // 2) + "x" * ((MAX_DATA - size) % 2)

    assert len(event_of(replaced(told, path, filled)).data.encode()) == MAX_DATA
    with pytest.raises(Malformed, match="too large"):
        event_of(replaced(told, path, filled + "x"))


@pytest.mark.parametrize("depth", [40, 900, 2000, 20_000])
def test_a_depth_that_no_event_has_is_malformed(depth: int) -> None:
    """Excessive nesting is malformed and raises no other error."""
    deep: Any = 1
    for _ in range(depth):
        deep = [deep]
    with pytest.raises(Malformed, match="deep"):
        event_of(ses.example("send") | {"deep": deep})


def test_a_key_that_javascript_would_put_first_is_malformed() -> None:
    """The body must begin with eventType, which JavaScript would place after an integer-like key."""
    with pytest.raises(Malformed, match="eventType"):
        event_of(ses.example("send") | {"7": True})


_json: Final = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(max_size=9),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=9), inner, max_size=3),
    max_leaves=6,
)


@settings(max_examples=500)
@given(
    name=st.sampled_from(NAMES),
    changes=st.lists(st.tuples(st.integers(0, 10_000), _json), min_size=1, max_size=3),
)
@example(name="send", changes=[(0, {})])
def test_any_json_is_an_event_or_malformed(name: str, changes: list[tuple[int, Any]]) -> None:
    """Any JSON is an event or malformed, and every event can be sent."""
    told = ses.example(name)
    for number, value in changes:
        assume(isinstance(told, dict))
        paths = list(parts(told))
        told = replaced(told, paths[number % len(paths)], value)
    assume(isinstance(told, dict))
    try:
        event = event_of(told)
    except Malformed:
        return
    assert event.data.startswith('{"eventType":"')
    assert stringify(parse(event.data.encode())) == event.data
