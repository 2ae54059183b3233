"""`/v1/api-keys`: keys are shown once, grant no scope that their creator lacks, and can be revoked."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any
from unittest import mock

import pytest
from botocore.client import BaseClient
from botocore.exceptions import ClientError

from posthorn.domain.api_key import Scope, split
from tests.integration.test_lost_answers import lost_answers

if TYPE_CHECKING:
    from tests.installation import Installation, Reply

PATH = "/v1/api-keys"
HOUR = 3600


def create(posthorn: Installation, *, key: str | None = None, once: str = "", **fields: Any) -> Reply:
    headers = {"idempotency-key": once} if once else {}
    body = {"name": "backend", "scopes": ["api_user"], **fields}
    return posthorn.call("POST", PATH, body, key=key, headers=headers)


def shown(posthorn: Installation, key_id: str) -> dict[str, Any]:
    listed = posthorn.call("GET", PATH).body["apiKeys"]
    (found,) = [one for one in listed if one["id"] == key_id]
    assert isinstance(found, dict)
    return found


def test_a_key_is_shown_once_and_works(posthorn: Installation) -> None:
    """The answer to POST holds the key; it works at once with its scopes, and no list shows it again."""
    reply = create(posthorn, scopes=["api_user", "user"], expiresAt="2023-04-17T00:00:00+02:00")
    made = reply.body["apiKey"]
    key = made.pop("key")

    assert reply.status == 201
    assert split(key) is not None
    assert made == {
        "id": key[4:16],
        "name": "backend",
        "scopes": ["api_user", "user"],
        "state": "active",
        "createdAt": "2023-04-16T15:45:00Z",
        "expiresAt": "2023-04-16T22:00:00Z",
        "lastUsedAt": None,
        "revokedAt": None,
    }
    assert posthorn.call("GET", "/v1/webhooks", key=key).status == 200
    assert posthorn.call("GET", PATH, key=key).status == 403
    assert key[16:48] not in repr(posthorn.call("GET", PATH).body)


def test_a_key_ends_when_it_said(posthorn: Installation) -> None:
    """An expired key gets a 401, and the list shows why."""
    made = create(posthorn, expiresAt="2023-04-16T15:45:05Z").body["apiKey"]
    before = posthorn.call("GET", "/v1/webhooks", key=made["key"]).status
    posthorn.clock.pass_seconds(5)

    assert (before, posthorn.call("GET", "/v1/webhooks", key=made["key"]).status) == (200, 401)
    assert shown(posthorn, made["id"])["state"] == "expired"


def test_a_revoked_key_stops_working(posthorn: Installation) -> None:
    """It stops at once in this process and within 30 seconds elsewhere; revoking again changes nothing."""
    made = create(posthorn).body["apiKey"]
    assert posthorn.call("GET", "/v1/webhooks", key=made["key"]).status == 200

    first = posthorn.call("DELETE", f"{PATH}/{made['id']}")
    posthorn.clock.pass_seconds(60)
    second = posthorn.call("DELETE", f"{PATH}/{made['id']}")

    assert first.body == second.body == {"deleted": True}
    assert posthorn.call("GET", "/v1/webhooks", key=made["key"]).status == 401
    after = shown(posthorn, made["id"])
    assert (after["state"], after["revokedAt"]) == ("revoked", "2023-04-16T15:45:00Z")


@pytest.mark.parametrize("has", [s for s in Scope if s is not Scope.ADMIN])
def test_a_key_gives_no_scope_that_it_lacks(posthorn: Installation, has: Scope) -> None:
    """An admin key with one more scope can grant those two only; the error names the missing ones."""
    key = posthorn.new_key(Scope.ADMIN, has)
    lacking = [scope for scope in Scope if scope not in {Scope.ADMIN, has}]

    assert create(posthorn, key=key, scopes=["admin", has]).status == 201
    for scope in lacking:
        reply = create(posthorn, key=key, scopes=[has, scope])
        assert (reply.status, reply.body["code"]) == (403, "insufficient_scope")
        assert f"`{scope}`" in reply.body["detail"]
        assert f"`{has}`" not in reply.body["detail"]


@pytest.mark.parametrize(
    "expires_at", [{}, {"expiresAt": None}, {"expiresAt": "2023-04-16T16:45:00.001Z"}], ids=str
)
def test_a_key_makes_none_that_outlives_it(posthorn: Installation, expires_at: dict[str, Any]) -> None:
    """An admin key that expires can create keys that expire with it or before, and no others."""
    key = create(posthorn, scopes=["admin", "api_user"], expiresAt="2023-04-16T16:45:00Z").body["apiKey"][
        "key"
    ]
    before = posthorn.call("GET", PATH).body

    refused = create(posthorn, key=key, **expires_at)
    kept = posthorn.call("GET", PATH).body
    allowed = create(posthorn, key=key, expiresAt="2023-04-16T18:45:00+02:00")

    assert (refused.status, refused.body["code"]) == (422, "invalid_input")
    assert refused.body["errors"] == [
        {
            "pointer": "/expiresAt",
            "detail": "Must not be later than the expiry of the key that creates it: 2023-04-16T16:45:00Z.",
        }
    ]
    assert [one["id"] for one in kept["apiKeys"]] == [one["id"] for one in before["apiKeys"]]
    assert (allowed.status, allowed.body["apiKey"]["expiresAt"]) == (201, "2023-04-16T16:45:00Z")


@pytest.mark.parametrize(
    ("fields", "pointer"),
    [
        ({"scopes": []}, "/scopes"),
        ({"scopes": ["root"]}, "/scopes/0"),
        ({"scopes": ["user", 1]}, "/scopes/1"),
        ({"scopes": "user"}, "/scopes"),
        ({"name": ""}, "/name"),
        ({"name": "x" * 65}, "/name"),
        ({"name": "two\nlines"}, "/name"),
        ({"expiresAt": "2023-04-16T15:45:00Z"}, "/expiresAt"),
        ({"expiresAt": "2020-01-01T00:00:00Z"}, "/expiresAt"),
        ({"expiresAt": "tomorrow"}, "/expiresAt"),
        ({"expiresAt": 1}, "/expiresAt"),
        ({"expires_at": "2030-01-01T00:00:00Z"}, "/expires_at"),
        ({"secret": "phk_mine"}, "/secret"),
    ],
)
def test_an_error_in_a_key_has_a_pointer(
    posthorn: Installation, fields: dict[str, Any], pointer: str
) -> None:
    """Unknown scopes, no scopes and an expiry in the past are refused, and no key is created."""
    before = posthorn.call("GET", PATH).body

    reply = create(posthorn, **fields)

    assert reply.status == 422
    assert [error["pointer"] for error in reply.body["errors"]] == [pointer]
    assert [one["id"] for one in posthorn.call("GET", PATH).body["apiKeys"]] == [
        one["id"] for one in before["apiKeys"]
    ]


def test_the_error_for_an_unknown_scope_lists_the_known_ones(posthorn: Installation) -> None:
    """The error lists the known scopes."""
    (error,) = create(posthorn, scopes=["root"]).body["errors"]
    assert all(scope in error["detail"] for scope in Scope)


def test_a_repetition_makes_one_key_and_shows_it_once(posthorn: Installation) -> None:
    """The secret is not stored, so only the first answer has it; the rest of the record is the same."""
    first, again = (create(posthorn, once="key-1").body["apiKey"] for _ in range(2))

    assert posthorn.call("GET", "/v1/webhooks", key=first.pop("key")).status == 200
    assert shown(posthorn, first["id"])["lastUsedAt"] is not None
    assert again == first


def test_repetitions_at_once_make_one_key(posthorn: Installation) -> None:
    """One of the concurrent requests returns a key, and that key works."""
    with ThreadPoolExecutor(6) as pool:
        made = [
            reply.body["apiKey"] for reply in pool.map(lambda _: create(posthorn, once="key-1"), range(6))
        ]

    (key,) = [one["key"] for one in made if "key" in one]
    assert len({one["id"] for one in made}) == 1
    assert posthorn.call("GET", "/v1/webhooks", key=key).status == 200


def test_a_key_whose_writing_broke_off_is_made_by_the_repetition(posthorn: Installation) -> None:
    """A crash before the write leaves no key; the retry creates it under the same id and shows it."""
    plain = BaseClient._make_api_call  # type: ignore[attr-defined]  # not in the stubs

    def failing(self: BaseClient, name: str, parameters: Any) -> Any:
        if name == "PutItem" and "key#" in repr(parameters):
            raise ClientError({"Error": {"Code": "InternalError"}, "ResponseMetadata": {}}, name)  # type: ignore[typeddict-item]
        return plain(self, name, parameters)

    with mock.patch.object(BaseClient, "_make_api_call", failing):
        broken = create(posthorn, once="key-1")
    completed = create(posthorn, once="key-1")

    assert (broken.status, completed.status) == (503, 201)
    assert posthorn.call("GET", "/v1/webhooks", key=completed.body["apiKey"]["key"]).status == 200


def test_a_key_whose_lost_answer_was_repeated_is_shown(posthorn: Installation) -> None:
    """If botocore repeats the write, the condition fails on our own row, and the key is still shown."""
    with lost_answers("PutItem"):
        made = create(posthorn).body["apiKey"]

    assert posthorn.call("GET", "/v1/webhooks", key=made["key"]).status == 200


@pytest.mark.parametrize("limit", [1, 2, 100])
def test_the_list_has_pages_and_ones_own_keys_only(posthorn: Installation, limit: int) -> None:
    """Pages of any size make the same list, without the keys of other workspaces."""
    made = {create(posthorn).body["apiKey"]["id"] for _ in range(3)} | {posthorn.key[4:16]}
    posthorn.new_workspace()
    found: list[str] = []
    path = f"{PATH}?limit={limit}"
    while True:
        body = posthorn.call("GET", path).body
        assert len(body["apiKeys"]) <= limit
        found += [one["id"] for one in body["apiKeys"]]
        if "nextCursor" not in body:
            break
        path = f"{PATH}?limit={limit}&cursor={body['nextCursor']}"

    assert len(found) == len(made)
    assert set(found) == made


def test_keys_of_other_workspaces_are_not_found(posthorn: Installation) -> None:
    """Another workspace cannot revoke a key, and gets the same answer as for an unknown one."""
    made = create(posthorn).body["apiKey"]
    _, other = posthorn.new_workspace()

    foreign = posthorn.call("DELETE", f"{PATH}/{made['id']}", key=other)
    unknown = posthorn.call("DELETE", f"{PATH}/000000000000", key=other)

    assert foreign == unknown
    assert foreign.status == 404
    assert posthorn.call("GET", "/v1/webhooks", key=made["key"]).status == 200


def test_the_use_of_a_key_is_written_once_an_hour(posthorn: Installation, calls: list[str]) -> None:
    """An hour of requests costs one write, and one lookup every 30 seconds."""
    made = create(posthorn).body["apiKey"]
    calls.clear()
    for _ in range(118):
        posthorn.call("GET", "/v1/webhooks", key=made["key"])
        posthorn.call("GET", "/v1/webhooks", key=made["key"])
        posthorn.clock.pass_seconds(30)

    assert {name: calls.count(name) for name in set(calls)} == {"GetItem": 118, "UpdateItem": 1, "Query": 236}
    assert shown(posthorn, made["id"])["lastUsedAt"] == "2023-04-16T15:45:00Z"
    posthorn.clock.pass_seconds(60)
    posthorn.call("GET", "/v1/webhooks", key=made["key"])
    assert shown(posthorn, made["id"])["lastUsedAt"] == "2023-04-16T16:45:00Z"


def test_a_remembered_key_is_noted_when_its_hour_is_over(posthorn: Installation, calls: list[str]) -> None:
    """The hour may end while a process has the key cached."""
    made = create(posthorn).body["apiKey"]
    posthorn.call("GET", "/v1/webhooks", key=made["key"])
    posthorn.clock.pass_seconds(HOUR - 10)
    posthorn.call("GET", "/v1/webhooks", key=made["key"])
    calls.clear()
    posthorn.clock.pass_seconds(10)
    posthorn.call("GET", "/v1/webhooks", key=made["key"])

    assert calls == ["UpdateItem", "Query"]


def test_a_wrong_secret_does_not_count_as_use(posthorn: Installation, calls: list[str]) -> None:
    """A refused request writes nothing."""
    from posthorn.domain.api_key import PREFIX, _checksum

    made = create(posthorn).body["apiKey"]
    forged = PREFIX + made["id"] + posthorn.key[16:48]
    calls.clear()

    assert posthorn.call("GET", "/v1/webhooks", key=forged + _checksum(forged)).status == 401
    assert calls == ["GetItem"]
    assert shown(posthorn, made["id"])["lastUsedAt"] is None


@pytest.mark.parametrize("code", ["InternalError", "ConditionalCheckFailedException"])
def test_no_request_fails_when_its_key_cannot_be_noted(posthorn: Installation, code: str) -> None:
    """If noting the use fails, or another process was first, the request still succeeds."""
    made = create(posthorn).body["apiKey"]
    plain = BaseClient._make_api_call  # type: ignore[attr-defined]  # not in the stubs

    def failing(self: BaseClient, name: str, parameters: Any) -> Any:
        if name == "UpdateItem":
            raise ClientError({"Error": {"Code": code}, "ResponseMetadata": {}}, name)  # type: ignore[typeddict-item]
        return plain(self, name, parameters)

    with mock.patch.object(BaseClient, "_make_api_call", failing):
        assert posthorn.call("GET", "/v1/webhooks", key=made["key"]).status == 200
    posthorn.clock.pass_seconds(30)
    posthorn.call("GET", "/v1/webhooks", key=made["key"])
    assert shown(posthorn, made["id"])["lastUsedAt"] == "2023-04-16T15:45:30Z"
