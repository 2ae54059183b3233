"""`/v1/workspaces`: workspaces are created, changed and listed by the platform's own ids for them."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from typing import TYPE_CHECKING, Any
from unittest import mock
from urllib.parse import quote

import pytest
from botocore.client import BaseClient
from botocore.exceptions import ClientError

from posthorn.api.access import HEADER
from posthorn.api.routes.workspaces import PATH
from tests.integration.test_lost_answers import lost_answers

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from tests.installation import Installation, Reply


@pytest.fixture
def platform(posthorn: Installation) -> str:
    return posthorn.new_platform_key()


@pytest.fixture
def queries() -> Iterator[list[Mapping[str, Any]]]:
    """Return a list that collects the parameters of every read of more than one row."""
    made: list[Mapping[str, Any]] = []
    plain = BaseClient._make_api_call  # type: ignore[attr-defined]  # not in the stubs

    def noted(self: BaseClient, name: str, parameters: Any) -> Any:
        if name in {"Query", "Scan", "BatchGetItem"}:
            made.append({"operation": name, **parameters})
        return plain(self, name, parameters)

    with mock.patch.object(BaseClient, "_make_api_call", noted):
        yield made


def put(posthorn: Installation, key: str, uid: str, body: Any = None) -> Reply:
    return posthorn.call("PUT", f"{PATH}/{uid}", body, key=key)


def listed(posthorn: Installation, key: str, query: str = "") -> list[str]:
    """Return the uids of a whole list, page by page."""
    found: list[str] = []
    path = f"{PATH}?{query}"
    for _ in range(20):
        body = posthorn.call("GET", path, key=key).body
        found += [one["uid"] for one in body["workspaces"]]
        if "nextCursor" not in body:
            return found
        path = f"{PATH}?{query}&cursor={body['nextCursor']}"
    raise AssertionError("the list has no end")


def test_a_workspace_is_created_by_its_uid(posthorn: Installation, platform: str) -> None:
    """The answer is 201 with every field; the workspace is found by its id and by its uid."""
    made = put(
        posthorn,
        platform,
        "cust_1",
        {"name": "Acme", "metadata": {"plan": "pro"}, "limits": {"endpoints": 5}},
    )
    one = made.body["workspace"]

    assert made.status == 201
    assert one == {
        "id": one["id"],
        "uid": "cust_1",
        "name": "Acme",
        "metadata": {"plan": "pro"},
        "status": "active",
        "limits": {"endpoints": 5},
        "createdAt": "2023-04-16T15:45:00Z",
    }
    for name in ("cust_1", one["id"]):
        assert posthorn.call("GET", f"{PATH}/{name}", key=platform).body == {"workspace": one}


def test_putting_it_again_changes_what_is_given(posthorn: Installation, platform: str) -> None:
    """The answer is 200; absent fields keep their values, so that a sign-up that runs again resumes nobody."""
    made = put(posthorn, platform, "cust_1", {"name": "Acme", "metadata": {"a": "1"}}).body["workspace"]
    changed = put(posthorn, platform, "cust_1", {"status": "suspended", "metadata": {"b": "2"}})
    again = put(posthorn, platform, "cust_1")

    assert (changed.status, again.status) == (200, 200)
    assert changed.body["workspace"] == {**made, "status": "suspended", "metadata": {"b": "2"}}
    assert again.body == changed.body


def test_without_a_body_the_name_is_the_uid(posthorn: Installation, platform: str) -> None:
    """Nothing but the uid is needed."""
    one = put(posthorn, platform, "cust_1").body["workspace"]
    assert (one["name"], one["metadata"], one["limits"], one["status"]) == ("cust_1", {}, {}, "active")


@pytest.mark.parametrize("uid", ["org:1", "a.b-c_d:e", "X" * 128])
@pytest.mark.parametrize("encode", [str, lambda uid: quote(uid, safe="")])
def test_a_uid_may_be_encoded_in_the_path(
    posthorn: Installation, platform: str, uid: str, encode: Any
) -> None:
    """Generated clients encode the colon."""
    made = put(posthorn, platform, encode(uid))

    assert (made.status, made.body["workspace"]["uid"]) == (201, uid)
    assert posthorn.call("GET", f"{PATH}/{encode(uid)}", key=platform).body == made.body


@pytest.mark.parametrize(
    "uid", ["wksp_1", "wksp_01GY5BVC309NNKZNNKZNNKZNNK", "X" * 129, "a,b", "a b", "..", "é"]
)
def test_a_text_that_is_no_uid_creates_nothing(posthorn: Installation, platform: str, uid: str) -> None:
    """It is refused by its grammar when creating, and unknown when reading."""
    before = listed(posthorn, platform)

    made = put(posthorn, platform, uid, {})
    found = [
        posthorn.call(method, f"{PATH}/{uid}", {} if method == "PATCH" else None, key=platform)
        for method in ("GET", "PATCH")
    ]

    assert (made.status, made.body["code"]) == (400, "invalid_uid")
    assert {(one.status, one.body["code"], one.body["detail"]) for one in found} == {
        (404, "not_found", "No such workspace.")
    }
    assert listed(posthorn, platform) == before


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        ({"name": ""}, "/name"),
        ({"name": "x" * 129}, "/name"),
        ({"name": "two\nlines"}, "/name"),
        ({"name": None}, "/name"),
        ({"metadata": {"": "x"}}, "/metadata/"),
        ({"metadata": {"x" * 41: "x"}}, "/metadata/" + "x" * 41),
        ({"metadata": {"a": "x" * 201}}, "/metadata/a"),
        ({"metadata": {"a": 1}}, "/metadata/a"),
        ({"metadata": {str(n): "x" for n in range(21)}}, "/metadata"),
        ({"status": "deleted"}, "/status"),
        ({"limits": {"endpoints": -1}}, "/limits/endpoints"),
        ({"limits": {"endpoints": 1.5}}, "/limits/endpoints"),
        ({"limits": {"Endpoints": 1}}, "/limits/Endpoints"),
        ({"limits": {"endpoints_per_host": 1}}, "/limits/endpoints_per_host"),
        ({"limits": {"unknown": 1}}, "/limits/unknown"),
        ({"limits": {"replays": 1_000_001}}, "/limits/replays"),
        ({"limits": {"replays": None}}, "/limits/replays"),
        ({"limits": []}, "/limits"),
        ({"uid": "other"}, "/uid"),
        ({"id": "wksp_1"}, "/id"),
    ],
)
def test_an_error_in_a_workspace_has_a_pointer(
    posthorn: Installation, platform: str, body: dict[str, Any], pointer: str
) -> None:
    """Neither a new workspace nor a change may have what is out of bounds."""
    one = put(posthorn, platform, "cust_1").body

    for reply in (
        put(posthorn, platform, "cust_2", body),
        put(posthorn, platform, "cust_1", body),
        posthorn.call("PATCH", f"{PATH}/cust_1", body, key=platform),
    ):
        assert (reply.status, [error["pointer"] for error in reply.body["errors"]]) == (422, [pointer])
    assert posthorn.call("GET", f"{PATH}/cust_1", key=platform).body == one
    assert posthorn.call("GET", f"{PATH}/cust_2", key=platform).status == 404


def test_a_workspace_is_changed_by_either_name(posthorn: Installation, platform: str) -> None:
    """PATCH sets the fields that are given, by id and by uid."""
    made = put(posthorn, platform, "cust_1", {"metadata": {"a": "1"}}).body["workspace"]

    named = posthorn.call("PATCH", f"{PATH}/{made['id']}", {"name": "Acme"}, key=platform).body["workspace"]
    stopped = posthorn.call("PATCH", f"{PATH}/cust_1", {"status": "suspended"}, key=platform).body[
        "workspace"
    ]

    assert named == {**made, "name": "Acme"}
    assert stopped == {**named, "status": "suspended"}
    assert posthorn.call("GET", f"{PATH}/{made['id']}", key=platform).body == {"workspace": stopped}


@pytest.mark.parametrize("limit", [1, 2, 100])
def test_lists_have_pages_and_a_filter(
    posthorn: Installation, platform: str, queries: list[Mapping[str, Any]], limit: int
) -> None:
    """Pages of any size make the same list, the oldest first; each is one query of the index, with a filter as well."""
    own = posthorn.call("GET", f"{PATH}/{posthorn.workspace}", key=platform).body["workspace"]["uid"]
    for number in range(5):
        posthorn.clock.pass_seconds(1)
        put(posthorn, platform, f"cust_{9 - number}", {"status": "suspended" if number % 2 else "active"})
    queries.clear()

    everything = listed(posthorn, platform, f"limit={limit}")
    pages = len(queries)
    active = listed(posthorn, platform, f"limit={limit}&status=active")
    suspended = listed(posthorn, platform, f"limit={limit}&status=suspended")

    assert sorted(everything) == sorted([own, "cust_9", "cust_8", "cust_7", "cust_6", "cust_5"])
    assert [uid for uid in everything if uid != own] == ["cust_9", "cust_8", "cust_7", "cust_6", "cust_5"]
    assert [uid for uid in active if uid != own] == ["cust_9", "cust_7", "cust_5"]
    assert suspended == ["cust_8", "cust_6"]
    assert {(one["operation"], one.get("IndexName"), one["Limit"]) for one in queries} == {
        ("Query", "workspaces", limit + 1)
    }
    assert pages <= 6 // limit + 1


def test_a_workspace_moves_to_the_list_of_its_status(posthorn: Installation, platform: str) -> None:
    """It is in one of the two at any time, and in the list of all."""
    put(posthorn, platform, "cust_1")
    put(posthorn, platform, "cust_1", {"status": "suspended"})

    assert "cust_1" not in listed(posthorn, platform, "status=active")
    assert listed(posthorn, platform, "status=suspended") == ["cust_1"]
    assert listed(posthorn, platform).count("cust_1") == 1

    put(posthorn, platform, "cust_1", {"status": "active"})
    assert "cust_1" in listed(posthorn, platform, "status=active")
    assert listed(posthorn, platform, "status=suspended") == []


def test_an_unknown_status_is_refused(posthorn: Installation, platform: str) -> None:
    """A misspelled filter would look as if there were none."""
    reply = posthorn.call("GET", f"{PATH}?status=paused", key=platform)
    assert (reply.status, reply.body["code"]) == (400, "invalid_filter")
    assert reply.body["errors"][0]["pointer"] == "/status"


def test_a_cursor_is_bound_to_its_list(posthorn: Installation, platform: str) -> None:
    """The cursor of one filter is refused by another, and by the lists of workspaces."""
    put(posthorn, platform, "cust_1")
    cursor = posthorn.call("GET", f"{PATH}?limit=1", key=platform).body["nextCursor"]

    for path, headers in (
        (f"{PATH}?status=active&cursor={cursor}", {}),
        (f"/v1/webhooks?cursor={cursor}", {HEADER: "cust_1"}),
    ):
        reply = posthorn.call("GET", path, key=platform, headers=headers)
        assert (reply.status, reply.body["code"]) == (400, "invalid_cursor")
    assert posthorn.call("GET", f"{PATH}?cursor={cursor}", key=platform).status == 200


@pytest.mark.parametrize("threads", [2, 6])
def test_of_concurrent_requests_for_a_uid_one_creates_it(
    posthorn: Installation, platform: str, threads: int
) -> None:
    """All meet after they found no workspace; one answers 201, the others 200, and all with the same id."""
    meeting = Barrier(threads, timeout=30)
    plain = BaseClient._make_api_call  # type: ignore[attr-defined]  # not in the stubs
    held = set(range(threads))

    def together(self: BaseClient, name: str, parameters: Any) -> Any:
        if name == "TransactWriteItems" and held:
            held.pop()
            meeting.wait()
        return plain(self, name, parameters)

    posthorn.call("GET", PATH, key=platform)  # the key is cached
    with mock.patch.object(BaseClient, "_make_api_call", together), ThreadPoolExecutor(threads) as pool:
        replies = list(
            pool.map(lambda _: put(posthorn, platform, "cust_1", {"name": "Acme"}), range(threads))
        )

    assert sorted(reply.status for reply in replies) == [200] * (threads - 1) + [201]
    assert len({reply.body["workspace"]["id"] for reply in replies}) == 1
    assert listed(posthorn, platform).count("cust_1") == 1


def test_a_transaction_that_meets_another_one_is_repeated(
    posthorn: Installation, platform: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """DynamoDB cancels one of two transactions on a row; the request waits and finds what the other one wrote."""
    pauses: list[float] = []
    monkeypatch.setattr(time, "sleep", pauses.append)
    plain = BaseClient._make_api_call  # type: ignore[attr-defined]  # not in the stubs
    conflicts = iter(range(2))

    def contended(self: BaseClient, name: str, parameters: Any) -> Any:
        if name == "TransactWriteItems" and next(conflicts, None) is not None:
            reasons = [{"Code": "TransactionConflict"}, {"Code": "None"}]
            answer = {
                "Error": {"Code": "TransactionCanceledException"},
                "ResponseMetadata": {"HTTPStatusCode": 400},
            }
            raise ClientError({**answer, "CancellationReasons": reasons}, name)  # type: ignore[typeddict-item]
        return plain(self, name, parameters)

    with mock.patch.object(BaseClient, "_make_api_call", contended):
        made = put(posthorn, platform, "cust_1")

    assert (made.status, len(pauses)) == (201, 2)


def test_a_lost_answer_is_no_conflict(posthorn: Installation, platform: str) -> None:
    """If botocore repeats the transaction, the condition fails on our own rows: it is created, and it is changed."""
    with lost_answers("TransactWriteItems"):
        made = put(posthorn, platform, "cust_1")
        changed = put(posthorn, platform, "cust_1", {"name": "Acme"})

    assert (made.status, changed.status) == (201, 200)
    assert changed.body["workspace"] == {**made.body["workspace"], "name": "Acme"}


def test_concurrent_changes_are_all_kept(posthorn: Installation, platform: str) -> None:
    """Each change replaces only the fields it names, whatever happened since it read the workspace."""
    put(posthorn, platform, "cust_1")
    wanted: dict[str, Any] = {"name": "Acme", "metadata": {"a": "1"}, "limits": {"endpoints": 3}}

    def change(field: str) -> Reply:
        return posthorn.call("PATCH", f"{PATH}/cust_1", {field: wanted[field]}, key=platform)

    with ThreadPoolExecutor(3) as pool:
        replies = list(pool.map(change, wanted))

    one = posthorn.call("GET", f"{PATH}/cust_1", key=platform).body["workspace"]
    assert {reply.status for reply in replies} == {200}
    assert {field: one[field] for field in wanted} == wanted
