"""Bad input: each mistake gets a specific problem document, and nothing changes."""

from __future__ import annotations

import gzip
import json
from typing import TYPE_CHECKING, Any, Final

import pytest

from posthorn.aws import clients
from posthorn.wire import ecmascript
from tests.installation import Installation, running

if TYPE_CHECKING:
    from collections.abc import Iterator

GOOD: dict[str, Any] = {"url": "https://hooks.example.com/hook", "events": ["CONTACT_CREATED"]}
EVENT: dict[str, Any] = {"event": "CONTACT_CREATED", "data": {"n": 1}}


@pytest.fixture(scope="module")
def posthorn() -> Iterator[Installation]:
    """One installation for the module: every test shows that it leaves it unchanged."""
    with running() as installation:
        installation.register("original.example.com")
        yield installation


def _everything(posthorn: Installation) -> str:
    """Return all rows of all tables, to show that nothing changed."""
    dynamodb = clients.client("dynamodb")
    return json.dumps(
        [dynamodb.scan(TableName=table)["Items"] for table in sorted(posthorn.tables.values())],
        default=repr,
        sort_keys=True,
    )


def _deep(levels: int) -> Any:
    value: Any = 1
    for _ in range(levels):
        value = [value]
    return {"deep": value}


WEBHOOKS = [
    ({**GOOD, "events": ["CONTACT_EXPLODED"]}, 422, "unknown_event_type", "/events/0"),
    ({**GOOD, "events": ["CONTACT_CREATED", "Contact Created"]}, 422, "invalid_event_type", "/events/1"),
    ({**GOOD, "events": ["CONACT_*"]}, 422, "unknown_event_type", "/events/0"),
    ({**GOOD, "events": []}, 422, "invalid_input", "/events"),
    ({**GOOD, "events": "CONTACT_CREATED"}, 422, "invalid_input", "/events"),
    ({**GOOD, "events": [1]}, 422, "invalid_input", "/events/0"),
    ({**GOOD, "events": ["*"] * 101}, 422, "invalid_input", "/events"),
    ({**GOOD, "url": "http://hooks.example.com/hook"}, 422, None, "/url"),
    ({**GOOD, "url": "https://127.0.0.1/hook"}, 422, None, "/url"),
    ({**GOOD, "url": "https://10.0.0.7/hook"}, 422, None, "/url"),
    ({**GOOD, "url": "https://169.254.169.254/latest/meta-data"}, 422, None, "/url"),
    ({**GOOD, "url": "https://user:password@hooks.example.com/"}, 422, None, "/url"),
    ({**GOOD, "url": "https://hooks.example.com:22/"}, 422, None, "/url"),
    ({**GOOD, "url": "ftp://hooks.example.com/"}, 422, None, "/url"),
    ({**GOOD, "url": "not a url"}, 422, None, "/url"),
    ({**GOOD, "url": ""}, 422, "invalid_input", "/url"),
    ({**GOOD, "url": "https://hooks.example.com/" + "x" * 2048}, 422, None, "/url"),
    ({**GOOD, "url": 1}, 422, "invalid_input", "/url"),
    ({"events": ["*"]}, 422, "invalid_input", "/url"),
    ({"url": GOOD["url"]}, 422, "invalid_input", "/events"),
    ({**GOOD, "token": "x" * 15}, 422, "invalid_input", "/token"),
    ({**GOOD, "token": "x" * 257}, 422, "invalid_input", "/token"),
    ({**GOOD, "token": "x" * 16 + "\n"}, 422, "invalid_input", "/token"),
    ({**GOOD, "token": 1234567890123456}, 422, "invalid_input", "/token"),
    ({**GOOD, "enabled": "true"}, 422, "invalid_input", "/enabled"),
    ({**GOOD, "enabled": 1}, 422, "invalid_input", "/enabled"),
    ({**GOOD, "description": "x" * 501}, 422, "invalid_input", "/description"),
    ({**GOOD, "colour": "red"}, 422, "invalid_input", "/colour"),
    ({**GOOD, "a/b~c": 1}, 422, "invalid_input", "/a~1b~0c"),
]


@pytest.mark.parametrize(("body", "status", "code", "pointer"), WEBHOOKS)
def test_an_invalid_webhook(
    posthorn: Installation, body: object, status: int, code: str | None, pointer: str
) -> None:
    """Creating with bad input is refused with a code and a pointer to the cause, and changes nothing."""
    before = _everything(posthorn)

    reply = posthorn.call("POST", "/v1/webhooks", body)

    assert reply.status == status
    assert reply.headers["content-type"] == "application/problem+json"
    assert code in {None, reply.body["code"]}
    assert [error["pointer"] for error in reply.body["errors"]] == [pointer]
    assert _everything(posthorn) == before


@pytest.mark.parametrize(
    ("body", "status", "code", "pointer"),
    [case for case in WEBHOOKS if "url" in case[0] and "events" in case[0]],  # PUT accepts subsets
)
def test_an_invalid_change(
    posthorn: Installation, body: object, status: int, code: str | None, pointer: str
) -> None:
    """Updating with bad input gets the same error, and the webhook stays unchanged."""
    (webhook,) = posthorn.call("GET", "/v1/webhooks").body["webhooks"]
    before = _everything(posthorn)

    reply = posthorn.call("PUT", f"/v1/webhooks/{webhook['id']}", body)

    assert reply.status == status
    assert code in {None, reply.body["code"]}
    assert [error["pointer"] for error in reply.body["errors"]] == [pointer]
    assert _everything(posthorn) == before


@pytest.mark.parametrize(
    ("body", "status", "code", "pointer"),
    [
        ({"event": "CONTACT_EXPLODED", "data": {}}, 422, "unknown_event_type", "/event"),
        ({"event": "contact created", "data": {}}, 422, "invalid_event_type", "/event"),
        ({"event": "", "data": {}}, 422, "invalid_input", "/event"),
        ({"event": 1, "data": {}}, 422, "invalid_input", "/event"),
        ({"event": "*", "data": {}}, 422, "invalid_event_type", "/event"),
        ({"event": "CONTACT_CREATED"}, 422, "invalid_input", "/data"),
        ({"event": "CONTACT_CREATED", "data": []}, 422, "invalid_input", "/data"),
        ({"event": "CONTACT_CREATED", "data": None}, 422, "invalid_input", "/data"),
        ({**EVENT, "created_at": "yesterday"}, 422, "invalid_input", "/created_at"),
        ({**EVENT, "created_at": "2023-02-30T00:00:00Z"}, 422, "invalid_input", "/created_at"),
        ({**EVENT, "created_at": "2023-04-16T15:45:00"}, 422, "invalid_input", "/created_at"),
        ({**EVENT, "created_at": 1681659900}, 422, "invalid_input", "/created_at"),
        ({**EVENT, "id": "evt_1"}, 422, "invalid_input", "/id"),
        ({**EVENT, "data": _deep(40)}, 422, "too_deep", "/data"),
        ({**EVENT, "data": {"text": "x" * (256 * 1024)}}, 413, "too_large", "/data"),
        ({"events": []}, 422, "invalid_input", "/events"),
        ({"events": [EVENT] * 101}, 422, "invalid_input", "/events"),
        ({"events": EVENT}, 422, "invalid_input", "/events"),
        ({"events": [EVENT, 1]}, 422, "invalid_input", "/events/1"),
        ({"events": [EVENT], "data": {}}, 422, "invalid_input", "/data"),
        ({"events": [EVENT, {**EVENT, "colour": 1}]}, 422, "invalid_input", "/events/1/colour"),
    ],
)
def test_an_invalid_event(posthorn: Installation, body: object, status: int, code: str, pointer: str) -> None:
    """Publishing bad input is refused with a code and a pointer to the cause, and accepts nothing."""
    before = _everything(posthorn)

    reply = posthorn.call("POST", "/v1/events", body)

    assert (reply.status, reply.body["code"]) == (status, code)
    assert [error["pointer"] for error in reply.body["errors"]] == [pointer]
    assert _everything(posthorn) == before


@pytest.mark.parametrize(
    ("body", "answer", "pointers"),
    [
        (b"", (400, "invalid_json"), []),
        (b"{", (400, "invalid_json"), []),
        (b'{"event": "CONTACT_CREATED", "data": {}} trailing', (400, "invalid_json"), []),
        (b"[]", (400, "invalid_json"), []),
        (b'"text"', (400, "invalid_json"), []),
        (b"\xff\xfe", (400, "invalid_utf8"), []),
        (b'{"event": "CONTACT_CREATED", "data": {"n": "\xff"}}', (400, "invalid_utf8"), []),
        (b'\xef\xbb\xbf{"event": "CONTACT_CREATED", "data": {}}', (400, "invalid_json"), []),
        (b'{"event": "CONTACT_CREATED", "data": {"n": NaN}}', (400, "invalid_json"), ["/data/n"]),
        (b'{"event": "CONTACT_CREATED", "data": {"n": -Infinity}}', (400, "invalid_json"), ["/data/n"]),
        (
            b'{"event": "CONTACT_CREATED", "data": {"n": 9007199254740993}}',
            (400, "unsafe_number"),
            ["/data/n"],
        ),
        (b'{"event": "CONTACT_CREATED", "data": {"~/": [1e400]}}', (400, "unsafe_number"), ["/data/~0~1/0"]),
        (b'{"event": "CONTACT_CREATED", "data": {"n": 1, "n": 2}}', (400, "duplicate_key"), ["/data/n"]),
        (b'{"events": [{}, {"data": {"n": 1, "n": 2}}]}', (400, "duplicate_key"), ["/events/1/data/n"]),
        (b'{"event": "CONTACT_CREATED", "data": {"n": "\\ud800"}}', (400, "unpaired_surrogate"), ["/data/n"]),
        (b'{"event": "CONTACT_CREATED", "data": {"\\ud800": 1}}', (400, "unpaired_surrogate"), ["/data"]),
        (b'{"data": {"\\ud800": 1e400}}', (400, "unsafe_number"), ["/data"]),
        (b'{"event": "A", "data": ' + b"[" * 100_000, (400, "too_deep"), ["/data" + "/0" * 31]),
        (b'{"event": "CONTACT_CREATED", "data": "' + b"x" * 10_000_000 + b'"}', (413, "too_large"), []),
    ],
    ids=lambda value: value[:40].decode("latin-1") if isinstance(value, bytes) else None,
)
@pytest.mark.parametrize("path", ["/v1/events", "/v1/webhooks"])
def test_an_invalid_body(
    posthorn: Installation, path: str, body: bytes, answer: tuple[int, str], pointers: list[str]
) -> None:
    """Broken, unsafe or oversized JSON is refused before anything else happens."""
    before = _everything(posthorn)

    reply = posthorn.call("POST", path, body)

    assert (reply.status, reply.body["code"]) == answer
    assert [error["pointer"] for error in reply.body.get("errors", [])] == pointers
    assert _everything(posthorn) == before


MILLION: Final = b'{"n":[' + b",".join([b"1e16"] * 1_000_000) + b"]}"
EVENT_IS_TOO_LARGE: Final = "The data of an event must be at most 256 KB."
TYPE_IS_TOO_LARGE: Final = "Must be at most 32 KB."


@pytest.mark.parametrize(
    ("path", "body", "error"),
    [
        (
            "/v1/events",
            b'{"event":"CONTACT_CREATED","data":%s}' % MILLION,
            {"pointer": "/data", "detail": EVENT_IS_TOO_LARGE},
        ),
        (
            "/v1/events",
            b'{"events":[{"event":"CONTACT_CREATED","data":{}},{"event":"CONTACT_CREATED","data":%s}]}'
            % MILLION,
            {"pointer": "/events/1/data", "detail": EVENT_IS_TOO_LARGE},
        ),
        (
            "/v1/event-types",
            b'{"name":"X","description":"x","example":%s}' % MILLION,
            {"pointer": "/example", "detail": TYPE_IS_TOO_LARGE},
        ),
        (
            "/v1/event-types",
            b'{"name":"X","description":"x","schema":%s}' % MILLION,
            {"pointer": "/schema", "detail": TYPE_IS_TOO_LARGE},
        ),
    ],
    ids=["event", "event of a batch", "example", "schema"],
)
def test_a_value_that_cannot_fit_is_refused_before_it_is_written(
    posthorn: Installation, monkeypatch: pytest.MonkeyPatch, path: str, body: bytes, error: dict[str, str]
) -> None:
    """None of a million numbers in five megabytes is written as text to find out that they are too many."""
    written: list[float] = []

    def number(value: float) -> str:
        written.append(value)
        return "0"

    monkeypatch.setattr(ecmascript, "number", number)

    reply = posthorn.call("POST", path, body)

    assert (reply.status, reply.body["code"]) == (413, "too_large")
    assert reply.body["errors"] == [error]
    assert written == []


@pytest.mark.parametrize(
    "encoding", ["gzip", "GZIP", "deflate", "br", "zstd", "gzip, identity", "identity, gzip", "x"]
)
def test_an_encoded_body_is_refused(posthorn: Installation, encoding: str) -> None:
    """A body with a Content-Encoding is refused by that name, whatever its bytes are, and nothing changes."""
    webhook = posthorn.call("GET", "/v1/webhooks").body["webhooks"][0]["id"]
    before = _everything(posthorn)

    for method, path, body in [
        ("POST", "/v1/events", gzip.compress(json.dumps(EVENT).encode())),
        ("POST", "/v1/webhooks", json.dumps(GOOD).encode()),
        ("PUT", f"/v1/webhooks/{webhook}", b'{"enabled": false}'),
        ("POST", f"/v1/webhooks/{webhook}/rotate-token", b"{}"),
    ]:
        reply = posthorn.call(method, path, body, headers={"Content-Encoding": encoding})
        assert (reply.status, reply.body["code"]) == (415, "unsupported_encoding")
        assert reply.body["detail"] == "The body must be sent without a Content-Encoding."
    assert _everything(posthorn) == before


@pytest.mark.parametrize("encoding", ["identity", "Identity "])
def test_the_identity_encoding_is_none(posthorn: Installation, encoding: str) -> None:
    """`identity` means that the body is not encoded (RFC 9110, 8.4.1), so such a body is read."""
    reply = posthorn.call("POST", "/v1/events", EVENT, headers={"content-encoding": encoding})

    assert reply.status == 202


@pytest.mark.parametrize("path", ["/v1/events", "/v1/webhooks"])
def test_an_idempotency_key_with_another_body_is_a_conflict(posthorn: Installation, path: str) -> None:
    """An idempotency key that was used for another body is refused, and nothing changes."""
    first, second = (
        (EVENT, {**EVENT, "data": {"n": 2}}) if "events" in path else (GOOD, {**GOOD, "events": ["*"]})
    )
    key = {"idempotency-key": "once"}
    posthorn.call("POST", path, first, headers=key)
    before = _everything(posthorn)

    reply = posthorn.call("POST", path, second, headers=key)

    assert (reply.status, reply.body["code"]) == (409, "idempotency_key_reused")
    assert _everything(posthorn) == before


@pytest.mark.parametrize("key", ["", "with space", "x" * 256, "ümlaut"])
def test_an_idempotency_key_has_a_shape(posthorn: Installation, key: str) -> None:
    """An idempotency key must have 1 to 255 printable characters."""
    reply = posthorn.call("POST", "/v1/events", EVENT, headers={"idempotency-key": key})

    assert (reply.status, reply.body["code"]) == (400, "invalid_idempotency_key")


def test_an_unknown_route_is_a_problem_document_too(posthorn: Installation) -> None:
    """An unknown path is a 404 in the same format as every other problem; test_methods.py has unknown methods."""
    for method, path in [("GET", "/nope"), ("PATCH", "/v1/nope"), ("POST", "/health/nope")]:
        reply = posthorn.call(method, path)

        assert (reply.status, reply.body["code"]) == (404, "not_found")
        assert reply.headers["content-type"] == "application/problem+json"


def test_no_problem_document_repeats_what_was_sent(posthorn: Installation) -> None:
    """A problem never quotes a token or the secret part of a URL."""
    reply = posthorn.call(
        "POST",
        "/v1/webhooks",
        {
            "url": "http://hooks.example.com/canary-path?key=canary-query",
            "events": [],
            "token": "canary-token",
        },
    )

    assert reply.status == 422
    assert "canary" not in json.dumps(reply.body)


@pytest.mark.parametrize("path", ["/v1/webhooks?stauts=failed", "/v1/events?limit=1&", "/v1/event-types?x"])
def test_an_unknown_query_parameter_is_refused(posthorn: Installation, path: str) -> None:
    """A misspelled filter is an error; the list is not returned unfiltered."""
    reply = posthorn.call("GET", path + "&page=2")

    assert (reply.status, reply.body["code"]) == (400, "unknown_parameter")
    assert "/page" in {error["pointer"] for error in reply.body["errors"]}
