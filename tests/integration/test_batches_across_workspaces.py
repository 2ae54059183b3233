"""One request publishes for up to 100 workspaces: each event names its own, and one mistake refuses them all."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any
from unittest import mock

import pytest
from botocore.client import BaseClient

from posthorn.api.access import HEADER
from posthorn.api.routes.workspaces import PATH
from posthorn.domain.api_key import Scope
from tests.network import answers

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from tests.installation import Installation, Reply

UNKNOWN = "wksp_01GY5BVC309NNKZNNKZNNKZNNK"


@pytest.fixture
def platform(posthorn: Installation) -> str:
    return posthorn.new_platform_key()


@pytest.fixture
def calls() -> Iterator[list[tuple[str, Any]]]:
    """Return a list that collects every AWS call with its parameters."""
    made: list[tuple[str, Any]] = []
    plain = BaseClient._make_api_call  # type: ignore[attr-defined]  # not in the stubs

    def noted(self: BaseClient, name: str, parameters: Any) -> Any:
        made.append((name, parameters))
        return plain(self, name, parameters)

    with mock.patch.object(BaseClient, "_make_api_call", noted):
        yield made


def create(posthorn: Installation, platform: str, *uids: str) -> dict[str, str]:
    """Create workspaces, each with a webhook of its own; return their ids by uid."""
    found = {}
    for uid in uids:
        found[uid] = posthorn.call("PUT", f"{PATH}/{uid}", key=platform).body["workspace"]["id"]
        hook = {"url": f"https://{uid}.example.com/", "events": ["*"]}
        assert posthorn.call("POST", "/v1/webhooks", hook, key=platform, headers={HEADER: uid}).status == 201
    return found


def event(workspace: str | None = None, of: Any = 1) -> dict[str, Any]:
    named = {} if workspace is None else {"workspace": workspace}
    return {"event": "CONTACT_CREATED", "data": {"of": of}, **named}


def publish(
    posthorn: Installation,
    key: str,
    events: Sequence[Mapping[str, Any]],
    *,
    headers: Mapping[str, str] | None = None,
) -> Reply:
    return posthorn.call("POST", "/v1/events", {"events": events}, key=key, headers=headers)


def pointers(reply: Reply) -> list[str]:
    return [error["pointer"] for error in reply.body["errors"]]


def test_each_event_goes_to_the_workspace_it_names(posthorn: Installation, platform: str) -> None:
    """By id or by uid; the answer has the order of the request, and each receiver gets its own events only."""
    ids = create(posthorn, platform, "left", "right")
    posthorn.network.receivers |= {f"{uid}.example.com": answers(200) for uid in ids}
    named = ["left", ids["right"], "right", ids["left"], "left"]

    reply = publish(posthorn, platform, [event(name, of=number) for number, name in enumerate(named)])
    posthorn.dispatch()

    made = [one["id"] for one in reply.body["events"]]
    assert reply.status == 202
    for uid, numbers in (("left", [0, 3, 4]), ("right", [1, 2])):
        received = posthorn.network.at(f"{uid}.example.com")
        assert {one.id for one in received} == {made[number] for number in numbers}
        assert sorted(json.loads(one.body)["data"]["of"] for one in received) == numbers
        listed = posthorn.call("GET", "/v1/events", key=platform, headers={HEADER: uid}).body["events"]
        assert {one["id"] for one in listed} == {made[number] for number in numbers}


def test_one_event_can_name_its_workspace_as_well(posthorn: Installation, platform: str) -> None:
    """A single event needs no batch."""
    create(posthorn, platform, "left")

    made = posthorn.call("POST", "/v1/events", event("left"), key=platform)
    missing = posthorn.call("POST", "/v1/events", event(), key=platform)
    unknown = posthorn.call("POST", "/v1/events", event("nobody"), key=platform)

    assert made.status == 202
    assert (missing.status, missing.body["code"], pointers(missing)) == (
        400,
        "workspace_required",
        ["/workspace"],
    )
    assert (unknown.status, unknown.body["code"], pointers(unknown)) == (
        422,
        "unknown_workspace",
        ["/workspace"],
    )


@pytest.mark.parametrize(
    ("wrong", "status", "code"),
    [
        ("nobody", 422, "unknown_workspace"),
        (UNKNOWN, 422, "unknown_workspace"),
        ("wksp_1", 422, "unknown_workspace"),
        ("..", 422, "unknown_workspace"),
        (None, 400, "workspace_required"),
        ("paused", 403, "workspace_suspended"),
        ("", 422, "invalid_input"),
        ("a b", 422, "invalid_input"),
        ("a,b", 422, "invalid_input"),
        (7, 422, "invalid_input"),
    ],
)
def test_one_wrong_workspace_refuses_the_whole_batch(
    posthorn: Installation, platform: str, wrong: Any, status: int, code: str
) -> None:
    """The pointer leads to the event; nothing is accepted, not even for the others."""
    create(posthorn, platform, "left", "right", "paused")
    posthorn.call("PATCH", f"{PATH}/paused", {"status": "suspended"}, key=platform)
    events = [event("left"), event("right"), {**event("left"), "workspace": wrong}]
    if wrong is None:
        del events[2]["workspace"]

    reply = publish(posthorn, platform, events)

    assert (reply.status, reply.body["code"], pointers(reply)) == (status, code, ["/events/2/workspace"])
    assert posthorn.stream() == []


def test_every_wrong_workspace_is_named(posthorn: Installation, platform: str) -> None:
    """The caller repairs all of them at once."""
    create(posthorn, platform, "left")
    reply = publish(posthorn, platform, [event("nobody"), event("left"), event("nowhere"), event("nobody")])
    assert pointers(reply) == [f"/events/{at}/workspace" for at in (0, 2, 3)]


def test_with_the_header_the_events_need_no_workspace(posthorn: Installation, platform: str) -> None:
    """An event may name the same workspace, by either name, and no other, whether that exists or not."""
    ids = create(posthorn, platform, "left", "right")
    headers = {HEADER: "left"}

    agreed = publish(posthorn, platform, [event(), event("left"), event(ids["left"])], headers=headers)
    replies = [
        publish(posthorn, platform, [event(), event(name)], headers=headers)
        for name in ("right", ids["right"], "nobody", UNKNOWN)
    ]

    assert agreed.status == 202
    assert {(one.status, one.body["code"], *pointers(one)) for one in replies} == {
        (422, "workspace_mismatch", "/events/1/workspace")
    }
    assert len({repr(one.body) for one in replies}) == 1
    assert {record["dynamodb"]["Keys"]["pk"]["S"][:-2] for record in posthorn.stream()} == {ids["left"]}


def test_a_key_of_a_workspace_publishes_to_its_own_only(posthorn: Installation, platform: str) -> None:
    """Events may name it; naming another one gets the identical answer, whether that exists or not."""
    ids = create(posthorn, platform, "left", "right")
    key = posthorn.new_key(*Scope, workspace=ids["left"])

    agreed = publish(posthorn, key, [event(), event("left"), event(ids["left"])])
    replies = [
        publish(posthorn, key, [event(name)]) for name in ("right", ids["right"], "nobody", UNKNOWN, "wksp_1")
    ]

    assert agreed.status == 202
    assert {(one.status, one.body["code"], *pointers(one)) for one in replies} == {
        (422, "workspace_mismatch", "/events/0/workspace")
    }
    assert len({repr(one.body) for one in replies}) == 1
    assert {record["dynamodb"]["Keys"]["pk"]["S"][:-2] for record in posthorn.stream()} == {ids["left"]}


def test_an_own_event_type_is_known_in_its_workspace_only(posthorn: Installation, platform: str) -> None:
    """Each event is checked against the types and schemas of its own workspace."""
    create(posthorn, platform, "left", "right")
    own = {"name": "LEFT_ONLY", "description": "x", "schema": {"type": "object", "required": ["must"]}}
    assert posthorn.call("POST", "/v1/event-types", own, key=platform, headers={HEADER: "left"}).status == 201
    one = {"event": "LEFT_ONLY", "data": {"must": 1}}

    known = publish(posthorn, platform, [{**one, "workspace": "left"}])
    unknown = publish(posthorn, platform, [{**one, "workspace": "left"}, {**one, "workspace": "right"}])
    wrong = publish(posthorn, platform, [{**one, "workspace": "left", "data": {}}])

    assert known.status == 202
    assert (unknown.body["code"], pointers(unknown)) == ("unknown_event_type", ["/events/1/event"])
    assert (wrong.body["code"], pointers(wrong)) == ("schema_violation", ["/events/0/data"])


@pytest.mark.parametrize("count", [1, 2, 26, 100])
def test_a_batch_costs_what_its_events_cost(
    posthorn: Installation, platform: str, calls: list[tuple[str, Any]], count: int
) -> None:
    """One read finds all workspaces, and 25 events are one write, whatever the mix; warm, there is no read."""
    for number in range(count):
        assert posthorn.call("PUT", f"{PATH}/tenant-{number}", key=platform).status == 201
    events = [event(f"tenant-{number % count}") for number in range(100)]
    calls.clear()

    assert publish(posthorn, platform, events).status == 202
    cold = [name for name, _ in calls]
    reads = [
        len(rows["Keys"])
        for name, asked in calls
        if name == "BatchGetItem"
        for rows in asked["RequestItems"].values()
    ]
    calls.clear()
    assert publish(posthorn, platform, events).status == 202

    assert sorted(cold) == ["BatchGetItem", *["BatchWriteItem"] * 4]
    assert reads == [count]
    assert [name for name, _ in calls] == ["BatchWriteItem"] * 4


def test_types_and_limits_of_many_workspaces_are_one_read_each(
    posthorn: Installation, platform: str, calls: list[tuple[str, Any]]
) -> None:
    """A batch for fifty workspaces with a type and a limit of their own does not read them one by one."""
    own = {"name": "OWN_TYPE", "description": "x"}
    limited = {"limits": {"deliveriesPerRequest": 1000}}
    for number in range(50):
        headers = {HEADER: f"tenant-{number}"}
        assert posthorn.call("PUT", f"{PATH}/tenant-{number}", limited, key=platform).status == 201
        assert posthorn.call("POST", "/v1/event-types", own, key=platform, headers=headers).status == 201
    events = [
        {"event": "OWN_TYPE", "data": {}, "workspace": f"tenant-{number % 50}"} for number in range(100)
    ]
    posthorn.clock.pass_seconds(31)  # longer than anything is cached
    posthorn.call("GET", PATH, key=platform)  # so that the use of the key is on record
    calls.clear()

    assert publish(posthorn, platform, events).status == 202
    cold = sorted(name for name, _ in calls)
    calls.clear()
    assert publish(posthorn, platform, events).status == 202

    assert cold == [*["BatchGetItem"] * 3, *["BatchWriteItem"] * 4]
    assert [name for name, _ in calls] == ["BatchWriteItem"] * 4


def test_a_repeated_batch_takes_effect_once(posthorn: Installation, platform: str) -> None:
    """Its Idempotency-Key is bound to the installation: another platform key repeats it, a workspace does not."""
    ids = create(posthorn, platform, "left", "right")
    once = {"idempotency-key": "batch-1"}
    events = [event("left"), event("right")]

    first = publish(posthorn, platform, events, headers=once)
    again = publish(posthorn, posthorn.new_platform_key(), events, headers=once)
    other = publish(posthorn, platform, [event("left")], headers=once)
    within = publish(posthorn, platform, [event()], headers={**once, HEADER: "left"})
    own = publish(posthorn, posthorn.new_key(*Scope, workspace=ids["right"]), [event()], headers=once)

    assert first.status == 202
    assert again.body == first.body
    assert (other.status, other.body["code"]) == (409, "idempotency_key_reused")
    assert (within.status, own.status) == (202, 202)
    assert len(posthorn.stream()) == 4
