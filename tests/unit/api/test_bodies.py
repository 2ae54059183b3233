"""Request bodies: strict JSON is parsed into strict models, and every error points at its cause."""

from __future__ import annotations

import json
from typing import Any, Final
from unittest import mock

import pytest
from hypothesis import given
from hypothesis import strategies as st

from posthorn.api import bodies
from posthorn.api.http import Request
from posthorn.api.problems import Problem
from posthorn.api.routes.events import NewEvent, NewEvents, publish_events
from posthorn.api.routes.table import ROUTES
from posthorn.api.routes.webhooks import NewWebhook, WebhookChange
from posthorn.domain.limits import MAX_BODY
from posthorn.wire.ecmascript import MAX_DEPTH

MODELS: Final = [*(route.body for route in ROUTES if route.body is not None), NewEvents]
WEBHOOK: Final[dict[str, Any]] = {"url": "https://hooks.example.com/", "events": ["CONTACT_CREATED"]}

json_values: Final[st.SearchStrategy[Any]] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda children: (
        st.lists(children, max_size=3) | st.dictionaries(st.text(max_size=5), children, max_size=3)
    ),
    max_leaves=8,
)


def request(body: bytes) -> Request:
    return Request(
        workspace="wksp_1", operation="POST /v1/webhooks", path={}, query={}, headers={}, body=body
    )


def problem_of(model: Any, value: dict[str, Any], at: str = "") -> Problem:
    with pytest.raises(Problem) as problem:
        bodies.validate(model, value, at=at)
    return problem.value


def complaints(model: Any, value: dict[str, Any], at: str = "") -> dict[str, str]:
    return {error.pointer: error.detail for error in problem_of(model, value, at).errors}


def resolve(document: Any, pointer: str) -> Any:
    """Follow a JSON pointer (RFC 6901); raise LookupError if it leads nowhere."""
    for step in pointer.split("/")[1:]:
        name = step.replace("~1", "/").replace("~0", "~")
        document = document[int(name) if isinstance(document, list) else name]
    return document


def test_an_object_is_read() -> None:
    """The parsed model holds the values that were sent."""
    assert bodies.parse(request(b' {"a": [1, "\xc3\xa9"]} ')) == {"a": [1, "é"]}


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b"", "invalid_json"),
        (b"{", "invalid_json"),
        (b"[]", "invalid_json"),
        (b'"text"', "invalid_json"),
        (b"null", "invalid_json"),
        (b"1", "invalid_json"),
        (b"a=1&b=2", "invalid_json"),
        (b'{"a":"\xff"}', "invalid_utf8"),
        (b"\xef\xbb\xbf{}", "invalid_json"),
        (b'{"a":NaN}', "invalid_json"),
        (b'{"a":1,"a":2}', "duplicate_key"),
        (b'{"a":9007199254740993}', "unsafe_number"),
        (b'{"a":"\\ud800"}', "unpaired_surrogate"),
        (b'{"a":' + b"[" * 100_000, "too_deep"),
    ],
    ids=lambda value: value[:16] if isinstance(value, bytes) else value,
)
def test_anything_but_an_object_is_a_bad_request(body: bytes, code: str) -> None:
    """Anything other than one JSON object is refused before any field is checked."""
    with pytest.raises(Problem) as problem:
        bodies.parse(request(body))
    assert (problem.value.status, problem.value.code) == (400, code)


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        (b'{"a/b":{"~":[0,1e400]}}', "/a~1b/~0/1"),
        (b'{"events":[{},{"data":{"":NaN}}]}', "/events/1/data/"),
        (b'{"a":1,"a":2}', "/a"),
        (b'{"a":[{"b":"\\ud800"}]}', "/a/0/b"),
        (b'{"a":' + b"[" * 100_000, "/a" + "/0" * 31),
        (b"9007199254740993", ""),  # the body as a whole
    ],
    ids=lambda value: value[:16] if isinstance(value, bytes) else value,
)
def test_a_value_that_is_refused_is_pointed_at(body: bytes, pointer: str) -> None:
    """What the body says that no receiver could read is found in the answer by its JSON pointer."""
    with pytest.raises(Problem) as problem:
        bodies.parse(request(body))
    assert problem.value.document()["errors"] == [{"pointer": pointer, "detail": problem.value.detail}]


def test_a_body_has_five_megabytes_at_most() -> None:
    """A body of exactly five megabytes is accepted; a larger one is refused before it is parsed."""
    body = b'{"a":"' + b"x" * (MAX_BODY - 8) + b'"}'
    assert len(body) == MAX_BODY == 5 * 1024 * 1024
    assert bodies.parse(request(body))
    with pytest.raises(Problem) as problem:
        bodies.parse(request(body + b" "))
    assert (problem.value.status, problem.value.code) == (413, "too_large")


@pytest.mark.parametrize("model", MODELS, ids=lambda model: model.__name__)
@given(value=st.dictionaries(st.text(max_size=8), json_values, max_size=4))
def test_every_error_points_into_the_body(model: Any, value: dict[str, Any]) -> None:
    """Every pointer leads to a value that was sent, or to a missing field of an object that was sent."""
    try:
        bodies.validate(model, value)
    except Problem as problem:
        assert (problem.status, problem.code) == (422, "invalid_input")  # noqa: PT017 - one of two valid outcomes
        assert 1 <= len(problem.errors) <= 20  # noqa: PT017 - one of two valid outcomes
        for error in problem.errors:
            assert error.detail != "Must be valid."  # every way to be wrong has words of its own
            if error.detail == "Required.":
                parent, _, name = error.pointer.rpartition("/")
                assert name not in resolve(value, parent)
            else:
                resolve(value, error.pointer)


@pytest.mark.parametrize("levels", [MAX_DEPTH, 300])
def test_a_complaint_about_deep_data_points_into_the_body(levels: int) -> None:
    """Data that nests too deep is refused, and the pointer leads into the event that holds it."""
    deep: dict[str, Any] = {}
    for _ in range(levels):
        deep = {"a": deep}
    event = {"event": "CONTACT_CREATED", "data": {}}
    body = {"events": [event, {**event, "data": deep}]}
    services = mock.Mock(event_types=mock.Mock(schema_of=lambda _: None))

    with pytest.raises(Problem) as refused:
        publish_events(services, request(json.dumps(body).encode()))

    assert refused.value.code == "too_deep"
    (error,) = refused.value.errors
    assert error.pointer.startswith("/events/1/data")
    resolve(body, error.pointer)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ({**WEBHOOK, "enable": True}, {"/enable": "Unknown field."}),
        ({**WEBHOOK, "a/b~c": 1}, {"/a~1b~0c": "Unknown field."}),
        ({**WEBHOOK, "": 1}, {"/": "Unknown field."}),
        ({}, {"/url": "Required.", "/events": "Required."}),
    ],
)
def test_unknown_and_missing_fields_are_named(value: dict[str, Any], expected: dict[str, str]) -> None:
    """A misspelled field and a missing field are different errors, each with its own pointer."""
    assert complaints(NewWebhook, value) == expected


@pytest.mark.parametrize(
    ("name", "value", "complaint"),
    [
        ("url", 5, "Must be a string."),
        ("url", None, "Must be a string."),
        ("url", "", "Must have at least 1 character."),
        ("url", "https://a.example/" + "x" * 2048, "Must have at most 2048 characters."),
        ("events", "CONTACT_CREATED", "Must be an array."),
        ("events", {"0": "*"}, "Must be an array."),
        ("events", [], "Must have at least 1 entry."),
        ("events", ["*"] * 101, "Must have at most 100 entries."),
        ("token", "x" * 15, "Must have at least 16 characters."),
        ("token", "x" * 257, "Must have at most 256 characters."),
        ("token", "x" * 16 + "\n", r"Must match the pattern `^[^\x00-\x1f\x7f]*$`."),
        ("token", "\x00" * 16, r"Must match the pattern `^[^\x00-\x1f\x7f]*$`."),
        ("token", 1234567890123456, "Must be a string."),
        ("enabled", 1, "Must be true or false."),
        ("enabled", "true", "Must be true or false."),
        ("enabled", None, "Must be true or false."),
        ("description", "x" * 501, "Must have at most 500 characters."),
        ("description", ["x"], "Must be a string."),
        ("retry_rate_limited", 0, "Must be true or false."),
    ],
)
def test_no_value_is_converted(name: str, value: object, complaint: str) -> None:
    """Values are never converted: a near miss is refused in plain words, not repaired."""
    assert complaints(NewWebhook, {**WEBHOOK, name: value}) == {f"/{name}": complaint}


def test_an_entry_of_a_list_is_pointed_at() -> None:
    """The error points at the one list entry that is wrong."""
    assert complaints(NewWebhook, {**WEBHOOK, "events": ["*", 5]}) == {"/events/1": "Must be a string."}
    assert complaints(NewEvent, {"event": "X", "data": []}) == {"/data": "Must be an object."}


def test_an_oversized_event_is_pointed_at() -> None:
    """An oversized event is pointed at within its batch; an oversized body as a whole has no pointer."""
    assert bodies.too_large("Too much.").document().get("errors") is None
    assert bodies.too_large("Too much.", "/events/3/data").document()["errors"] == [
        {"pointer": "/events/3/data", "detail": "Too much."}
    ]


@pytest.mark.parametrize(
    "value",
    [
        WEBHOOK,
        {**WEBHOOK, "token": "optional_secret_token"},  # from the published example
        {**WEBHOOK, "token": "wht_a1b2c3d4e5f6g7h8i9j0"},
        {**WEBHOOK, "token": "zwölf pässwörter & \U0001f600"},
        {**WEBHOOK, "token": "x" * 16},
        {**WEBHOOK, "token": "x" * 256},
        {**WEBHOOK, "token": None},
        {**WEBHOOK, "description": None, "enabled": False, "retry_rate_limited": True},
    ],
)
def test_the_documented_requests_are_accepted(value: dict[str, Any]) -> None:
    """The published request examples are valid; optional fields may be absent or, where equivalent, null."""
    made = bodies.validate(NewWebhook, value)
    assert made.model_dump(include=set(value)) == value


def test_a_change_knows_its_given_fields() -> None:
    """An absent field stays unchanged; a field sent with its default value is a change."""
    assert bodies.validate(WebhookChange, {}).model_fields_set == set()
    assert bodies.validate(WebhookChange, {"enabled": True}).model_fields_set == {"enabled"}


def test_pointers_start_with_the_entry_of_a_batch() -> None:
    """In a batch, each pointer starts with the index of its entry."""
    assert complaints(NewEvent, {"data": {}}, "/events/3") == {"/events/3/event": "Required."}


def test_at_most_twenty_errors_are_returned() -> None:
    """At most twenty errors are returned, so that the answer stays readable."""
    assert len(problem_of(NewWebhook, {**WEBHOOK, **{f"x{number}": 1 for number in range(50)}}).errors) == 20


@pytest.mark.parametrize("model", MODELS, ids=lambda model: model.__name__)
@pytest.mark.parametrize("value", ["canary", ["canary"], {"a": "canary"}, 31337], ids=repr)
def test_no_error_repeats_a_value(model: Any, value: object) -> None:
    """Errors never repeat a value, which may be a secret and would end up in answers and logs."""
    for name in model.model_fields:
        try:
            bodies.validate(model, {name: value})
        except Problem as problem:
            said = json.dumps(problem.document()) + str(problem)
            assert "canary" not in said
            assert "31337" not in said
            assert "pydantic" not in said


@given(steps=st.lists(st.text(max_size=5) | st.integers(0, 9), max_size=4))
def test_a_pointer_can_be_followed(steps: list[str | int]) -> None:
    """Slashes and tildes in field names are escaped as RFC 6901 requires."""
    document: Any = "found"
    for step in reversed(steps):
        document = {str(step): document}
    assert resolve(document, bodies.pointer(steps)) == "found"
