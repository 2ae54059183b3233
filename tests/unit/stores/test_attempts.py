"""Attempts in a delivery's row: complete after a failure, short after a success, the common case."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from posthorn.domain.endpoint_kind import PayloadFormat
from posthorn.domain.errors import Malformed
from posthorn.domain.matching import MAX_TYPE_LENGTH
from posthorn.domain.models import Attempt, Delivery, DeliveryKey, Failure, Outcome, Status, Timings
from posthorn.stores.attempts import from_text, to_text
from posthorn.stores.deliveries import Deliveries
from posthorn.transport.response import SNIPPET_BYTES, VALUE_CHARACTERS

if TYPE_CHECKING:
    from collections.abc import Mapping

WRITE_UNIT: Final = 1024
LEAN: Final = 520
NOW_MS: Final = 1_681_659_900_000
KEPT: Final = (
    *("cf-ray", "content-length", "content-type", "date", "location", "request-id", "retry-after", "server"),
    *("via", "x-amzn-requestid", "x-request-id"),
)

# The largest value of every field: 13-digit times, an uncompressed IPv6 address, the longest names.
LONGEST_TIMINGS: Final = Timings(dns=15_000, connect=15_000, tls=15_000, first_byte=15_000, total=15_000)
LONGEST_FORMAT: Final = max(PayloadFormat, key=len)
LONGEST_ADDRESS: Final = "2001:db80:1111:2222:3333:4444:5555:6666"
WORKSPACE: Final = "wksp_01GY5BMP7FBC0DKZTXDZJ7EQ6S"

# Response bodies of every size, with characters of one to four bytes and ones that JSON escapes.
_characters: Final = st.sampled_from(["a", '"', "\\", "\t", "\x00", "\ufffd", "\U0001f600", "é"])


def texts(longest: int) -> st.SearchStrategy[str]:
    return st.text(max_size=40) | st.builds(
        lambda character, times: character * times, _characters, st.integers(0, longest)
    )


answers: Final = st.dictionaries(st.sampled_from(KEPT), texts(VALUE_CHARACTERS)).map(
    lambda found: tuple(found.items())
)
snippets: Final = texts(SNIPPET_BYTES)
timings: Final = st.builds(Timings, *[st.integers(0, 15_000)] * 5)
successes: Final = st.builds(
    Outcome,
    timings,
    status=st.integers(200, 299),
    address=st.sampled_from(["203.0.113.7", LONGEST_ADDRESS]),
    headers=answers,
    snippet=snippets,
)
failures: Final = st.builds(
    Outcome,
    timings,
    status=st.none() | st.integers(300, 599),
    failure=st.none() | st.sampled_from(Failure),
    error=st.none() | st.text(min_size=1, max_size=120),
    address=st.none() | st.just(LONGEST_ADDRESS),
    headers=answers,
    snippet=snippets,
).filter(lambda one: one.status is not None or one.failure is not None)

NOTHING: Final = Outcome(LONGEST_TIMINGS, status=200, address=LONGEST_ADDRESS)
EVERYTHING: Final = replace(
    NOTHING,
    headers=tuple((name, "v" * VALUE_CHARACTERS) for name in KEPT),
    snippet='"' * SNIPPET_BYTES,
)


def attempt(outcome: Outcome, number: int = 1) -> Attempt:
    return Attempt(
        number=number, started_at=NOW_MS, outcome=outcome, signed_by=(12, 11), format=LONGEST_FORMAT
    )


def item_size(item: Mapping[str, Any]) -> int:
    """Return an item's size as DynamoDB counts it (Developer Guide, "DynamoDB item sizes and formats")."""
    return sum(len(name.encode()) + _size(value) for name, value in item.items())


def _size(value: Mapping[str, Any]) -> int:
    ((kind, content),) = value.items()
    match kind:
        case "S":
            return len(content.encode())
        case "N":
            return (len(content.strip("-0")) + 1) // 2 + 1
        case "B":
            return len(content)
        case "BOOL" | "NULL":
            return 1
        case "L":
            return 3 + sum(1 + _size(one) for one in content)
        case _:
            raise AssertionError(kind)


@given(outcome=successes)
@example(EVERYTHING)
@example(NOTHING)
def test_the_text_of_a_success_stays_small(outcome: Outcome) -> None:
    """A success takes half a kilobyte at most, whatever headers and body the receiver sends."""
    assert len(to_text(attempt(outcome)).encode()) <= LEAN


@given(outcome=successes)
@example(EVERYTHING)
def test_a_success_at_once_costs_one_write_unit(outcome: Outcome) -> None:
    """The whole row of a first-try success fits in one write unit (1 KB), even with the longest names."""
    delivery = Delivery(
        key=DeliveryKey("wh_01GY5BMP7FBC0DKZTXDZJ7EQ6S", "evt_01GY5BMP7FBC0DKZTXDZJ7EQ6S"),
        channel=WORKSPACE,
        event_type="A" * MAX_TYPE_LENGTH,
        status=Status.DELIVERED,
        attempt=1,
        attempts=(attempt(outcome),),
        is_test=True,
    )
    row = Deliveries(None, "", retention_days=365)._item(delivery, NOW_MS)  # type: ignore[arg-type]
    assert item_size(row) < WRITE_UNIT


@given(outcome=successes)
@example(EVERYTHING)
def test_a_success_keeps_what_matters(outcome: Outcome) -> None:
    """Status, times and address are always kept; the other fields are truncated, never altered."""
    found = from_text(to_text(attempt(outcome))).outcome
    assert (found.status, found.timings, found.address) == (outcome.status, outcome.timings, outcome.address)
    telling = tuple(
        (name, value) for name, value in outcome.headers if name not in {"date", "content-length"}
    )
    assert found.headers in {telling, ()}
    assert outcome.snippet.startswith(found.snippet)


def test_a_usual_success_keeps_its_headers_and_the_start_of_its_body() -> None:
    """A typical success keeps its headers, except for two that repeat what is known anyway."""
    telling = (
        ("content-type", "application/json; charset=utf-8"),
        ("server", "nginx"),
        ("x-request-id", "7"),
    )
    idle = (("date", "Sun, 16 Apr 2023 15:45:00 GMT"), ("content-length", "11"))
    outcome = replace(NOTHING, headers=idle + telling, snippet='{"ok":true}')
    assert from_text(to_text(attempt(outcome))) == attempt(replace(outcome, headers=telling))


def test_headers_are_kept_as_long_as_they_fit() -> None:
    """A success drops its headers only when they do not fit into half a kilobyte."""
    sizes: list[int] = []
    for length in range(LEAN):
        made = attempt(replace(NOTHING, headers=(("via", "v" * length),)))
        text = to_text(made)
        if from_text(text) == made:
            sizes.append(len(text.encode()))
    assert sizes == list(range(min(sizes), LEAN + 1))


@pytest.mark.parametrize(("character", "kept"), [("a", 160), ("é", 80), ("\U0001f600", 40), ("\ufffd", 53)])
def test_the_body_of_a_success_is_cut_between_characters(character: str, kept: int) -> None:
    """160 bytes of the body are kept, cut between characters."""
    found = from_text(to_text(attempt(replace(NOTHING, snippet=character * SNIPPET_BYTES))))
    assert found.outcome.snippet == character * kept


@given(outcome=failures, number=st.integers(1, 4))
@example(replace(EVERYTHING, status=500), 4)
@example(replace(EVERYTHING, status=300), 1)
@example(replace(EVERYTHING, status=199), 1)
def test_a_failure_keeps_everything(outcome: Outcome, number: int) -> None:
    """A failed attempt keeps the whole response for debugging."""
    made = attempt(outcome, number)
    assert from_text(to_text(made)) == made


def test_an_incomplete_success_is_a_failure() -> None:
    """A 200 whose head broke off is a failure, and is kept like any other failure."""
    made = attempt(replace(EVERYTHING, failure=Failure.TIMEOUT, error="no complete response within 10 s"))
    assert from_text(to_text(made)) == made


@given(outcome=failures | successes)
def test_an_attempt_is_one_line_of_json(outcome: Outcome) -> None:
    """An attempt is one line of JSON, readable in the console and by any JSON tool."""
    text = to_text(attempt(replace(outcome, error="für Menschen \U0001f600")))
    assert "\n" not in text
    assert "für Menschen \U0001f600" in text
    assert json.loads(text)["number"] == 1


@pytest.mark.parametrize(
    "text",
    [
        "",
        "x",
        "null",
        "1",
        '"text"',
        "[]",
        "{}",
        '{"number":1}',
        '{"number":1,"at":1}',
        '{"number":1,"at":1,"ms":null}',
        '{"number":1,"at":1,"ms":[1,2,3]}',
        '{"number":1,"at":1,"ms":[1,2,3,4,5],"failure":"bored"}',
        '{"number":1,"at":1,"ms":[1,2,3,4,5],"format":"morse"}',
        '{"number":1,"at":1,"ms":[1,2,3,4,5],"headers":7}',
        '{"number":1,"at":1,"ms":[1,2,3,4,5],"headers":[["a"]]}',
        '{"number":1,"at":1,"ms":[1,2,3,4,5',
    ],
)
def test_other_texts_are_malformed(text: str) -> None:
    """An unreadable attempt is reported as malformed."""
    with pytest.raises(Malformed):
        from_text(text)


def test_unknown_fields_are_ignored() -> None:
    """Unknown fields are ignored, so rows of a newer version stay readable during a rollout or rollback."""
    text = '{"number":2,"at":3,"ms":[1,2,3,4,5],"status":500,"invented":{"later":true}}'
    assert from_text(text) == Attempt(2, 3, Outcome(Timings(1, 2, 3, 4, 5), status=500))
