"""The platform's event types: managed with a platform key, and known in every workspace."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote

import pytest

from posthorn.api.access import HEADER
from posthorn.aws import clients
from posthorn.domain.api_key import PLATFORM
from posthorn.domain.event_types import EventType, built_in
from posthorn.stores import event_types as store
from tests.network import answers

if TYPE_CHECKING:
    from tests.installation import Installation, Reply

PATH: Final = "/v1/event-types"
SCHEMA: Final = {"type": "object", "required": ["order"]}
ORDER: Final[dict[str, Any]] = {
    "description": "An order was paid",
    "example": {"order": {"total": 1200}},
    "schema": SCHEMA,
}
PAID: Final = {"order": {"total": 5}}


@pytest.fixture
def platform(posthorn: Installation) -> str:
    return posthorn.new_platform_key()


def put(posthorn: Installation, platform: str, name: str = "order.paid", **fields: Any) -> Reply:
    return posthorn.call("PUT", f"{PATH}/{quote(name, safe='')}", {**ORDER, **fields}, key=platform)


def create(
    posthorn: Installation, name: str = "order.paid", *, key: str | None = None, **fields: Any
) -> Reply:
    return posthorn.call("POST", PATH, {**ORDER, "name": name, **fields}, key=key)


def publish(posthorn: Installation, data: Any, event: str = "order.paid", *, key: str | None = None) -> Reply:
    return posthorn.call("POST", "/v1/events", {"event": event, "data": data}, key=key)


def listed(posthorn: Installation, key: str | None = None, limit: int = 100) -> list[tuple[str, str]]:
    """Return the name and the source of every type in a list, read page by page."""
    found: list[tuple[str, str]] = []
    path = f"{PATH}?limit={limit}"
    while True:
        body = posthorn.call("GET", path, key=key).body
        assert len(body["eventTypes"]) <= limit
        found += [(one["name"], one["source"]) for one in body["eventTypes"]]
        if "nextCursor" not in body:
            return found
        path = f"{PATH}?limit={limit}&cursor={body['nextCursor']}"


def test_a_type_of_the_platform_is_shown_as_it_was_put(posthorn: Installation, platform: str) -> None:
    """The platform and every workspace read the same, in either spelling of the name."""
    made = put(posthorn, platform)
    _, other = posthorn.new_workspace()

    assert made.status == 201
    assert made.body == {
        "eventType": {
            **ORDER,
            "name": "order.paid",
            "source": "platform",
            "createdAt": "2023-04-16T15:45:00Z",
        }
    }
    for key in (platform, posthorn.key, other):
        assert posthorn.call("GET", f"{PATH}/ORDER_PAID", key=key).body == made.body
        assert listed(posthorn, key)[-1] == ("order.paid", "platform")


def test_putting_a_type_again_replaces_what_it_means(posthorn: Installation, platform: str) -> None:
    """Description, example and schema are those of the last request; name and time stay."""
    made = put(posthorn, platform).body["eventType"]
    posthorn.clock.pass_seconds(60)
    changed = posthorn.call("PUT", f"{PATH}/ORDER_PAID", {"description": "Paid in full"}, key=platform)

    assert changed.status == 200
    del made["schema"]
    assert changed.body["eventType"] == {**made, "description": "Paid in full", "example": {}}
    assert posthorn.call("GET", f"{PATH}/order.paid").body == changed.body
    again = put(posthorn, platform)
    assert again.body["eventType"] == {**made, **ORDER}


def test_every_workspace_publishes_and_subscribes_to_it(posthorn: Installation, platform: str) -> None:
    """By name and by prefix; its schema is checked, and its example is what test events have."""
    put(posthorn, platform)
    posthorn.network.receivers["hooks.example.com"] = answers(200)
    webhooks = [posthorn.register(events=[pattern]) for pattern in ("ORDER_PAID", "order.*")]

    assert publish(posthorn, PAID).status == 202
    assert publish(posthorn, {}).body["code"] == "schema_violation"
    assert posthorn.call("POST", f"/v1/webhooks/{webhooks[1]['id']}/test").status == 202
    posthorn.dispatch()

    sent = [one.payload["data"] for one in posthorn.network.received]
    assert sorted(map(json.dumps, sent)) == sorted(map(json.dumps, [PAID, PAID, ORDER["example"]]))


def test_a_platform_key_can_post_and_delete(posthorn: Installation, platform: str) -> None:
    """Without the header, POST creates a type of the platform, and a repetition finds it; DELETE removes it."""
    once = {"idempotency-key": "once"}
    wanted = {**ORDER, "name": "orders/create"}
    made = posthorn.call("POST", PATH, wanted, key=platform, headers=once)

    assert (made.status, made.body["eventType"]["source"]) == (201, "platform")
    assert posthorn.call("POST", PATH, wanted, key=platform, headers=once).body == made.body
    assert create(posthorn, "orders/create", key=platform).body["code"] == "event_type_exists"
    assert publish(posthorn, PAID, "orders/create").status == 202
    assert posthorn.call("DELETE", f"{PATH}/orders/create", key=platform).body == {"deleted": True}
    assert publish(posthorn, PAID, "orders/create").body["code"] == "unknown_event_type"
    assert posthorn.call("DELETE", f"{PATH}/orders/create", key=platform).status == 404


def test_with_the_header_a_platform_key_makes_a_type_of_the_workspace(
    posthorn: Installation, platform: str
) -> None:
    """The header decides whose type it is: other workspaces do not see it."""
    _, other = posthorn.new_workspace()
    headers = {HEADER: posthorn.workspace}
    made = posthorn.call("POST", PATH, {**ORDER, "name": "order.paid"}, key=platform, headers=headers)

    assert made.body["eventType"]["source"] == "own"
    for key in (platform, other):
        assert posthorn.call("GET", f"{PATH}/order.paid", key=key).status == 404
        assert posthorn.call("DELETE", f"{PATH}/order.paid", key=key).status == 404
    assert posthorn.call("GET", f"{PATH}/order.paid").body == made.body


@pytest.mark.parametrize("limit", [1, 3, 11, 12, 13, 100])
def test_the_list_says_whose_each_is(posthorn: Installation, platform: str, limit: int) -> None:
    """Built-in types, the platform's, then the workspace's own, in pages of any size; hidden ones are left out."""
    create(posthorn, "BANANA")
    create(posthorn, "zebra.seen")
    create(posthorn, "MANGO")
    for name in ("apple.eaten", "BANANA", "PLUM"):
        put(posthorn, platform, name)
    ours = [
        *((name, "built-in") for name in built_in()),
        *((name, "platform") for name in ("APPLE_EATEN", "BANANA", "PLUM")),
    ]
    ours[-3] = ("apple.eaten", "platform")

    assert listed(posthorn, limit=limit) == [*ours, ("MANGO", "own"), ("zebra.seen", "own")]
    assert listed(posthorn, platform, limit) == ours


@pytest.mark.parametrize("kind", ["own", "platform with the header"])
def test_a_workspace_cannot_create_what_the_platform_has(
    posthorn: Installation, platform: str, kind: str
) -> None:
    """In either spelling that is a conflict, and so is deleting it."""
    put(posthorn, platform)
    key, headers = (posthorn.key, {}) if kind == "own" else (platform, {HEADER: posthorn.workspace})

    made = posthorn.call("POST", PATH, {**ORDER, "name": "ORDER_PAID"}, key=key, headers=headers)
    deleted = posthorn.call("DELETE", f"{PATH}/ORDER_PAID", key=key, headers=headers)

    assert (made.status, made.body["code"]) == (409, "event_type_exists")
    assert "platform" in made.body["detail"]
    assert (deleted.status, deleted.body["code"]) == (409, "event_type_of_platform")
    assert publish(posthorn, PAID).status == 202


def test_the_platform_decides_about_a_name_that_a_workspace_has(
    posthorn: Installation, platform: str
) -> None:
    """The workspace's own type is hidden within half a minute, can be deleted, and otherwise decides again later."""
    _, other = posthorn.new_workspace()
    for key in (posthorn.key, other):
        own = create(posthorn, key=key, schema={"type": "object", "required": ["ours"]}, example={}).body
        assert publish(posthorn, {"ours": 1}, key=key).status == 202

    theirs = put(posthorn, platform)
    posthorn.clock.pass_seconds(30)

    for key in (posthorn.key, other):
        assert publish(posthorn, {"ours": 1}, key=key).body["code"] == "schema_violation"
        assert publish(posthorn, PAID, key=key).status == 202
        assert posthorn.call("GET", f"{PATH}/order.paid", key=key).body == theirs.body
        assert listed(posthorn, key)[-1] == ("order.paid", "platform")
    assert posthorn.call("DELETE", f"{PATH}/order.paid", key=other).body == {"deleted": True}

    assert posthorn.call("DELETE", f"{PATH}/order.paid", key=platform).body == {"deleted": True}
    assert publish(posthorn, {"ours": 1}).status == 202
    assert publish(posthorn, {"ours": 1}, key=other).body["code"] == "unknown_event_type"
    assert posthorn.call("GET", f"{PATH}/order.paid").body == own


def test_a_hidden_type_never_decides_when_the_platforms_expires(
    posthorn: Installation, platform: str
) -> None:
    """The process that changes the platform's type, and every other one after half a minute, read it again."""
    create(posthorn, schema={"type": "object", "required": ["ours"]}, example={})
    put(posthorn, platform)
    for seconds in (0, 29, 1, 1):
        posthorn.clock.pass_seconds(seconds)
        assert publish(posthorn, PAID).status == 202
    put(posthorn, platform, schema={"type": "object", "required": ["new"]}, example={})
    assert publish(posthorn, PAID).body["code"] == "schema_violation"
    assert publish(posthorn, {"new": 1}).status == 202


def test_a_cold_look_is_one_call_and_a_warm_one_none(
    posthorn: Installation, platform: str, calls: list[str]
) -> None:
    """Both places are read at once and remembered for 30 seconds: for all workspaces if the type is the platform's."""
    _, other = posthorn.new_workspace()
    put(posthorn, platform)
    create(posthorn, "invoice.sent")
    for event, key in (("order.paid", posthorn.key), ("order.paid", other), ("invoice.sent", posthorn.key)):
        publish(
            posthorn, PAID, "CONTACT_CREATED", key=key
        )  # the key and the workspace are known from here on
        calls.clear()
        publish(posthorn, PAID, event, key=key)
        cold = [] if key == other else ["BatchGetItem"]
        assert calls == [*cold, "PutItem"]
        calls.clear()
        publish(posthorn, PAID, event, key=key)
        assert calls == ["PutItem"]


def test_a_miss_is_not_remembered(posthorn: Installation, platform: str) -> None:
    """A type of the platform can be published in every workspace from the moment it exists."""
    assert publish(posthorn, PAID).body["code"] == "unknown_event_type"
    store.EventTypes(clients.client("dynamodb"), posthorn.tables["ConfigTable"]).create(
        PLATFORM,
        EventType(name="order.paid", description="As in another process", example={}, created_at=1),
    )
    assert publish(posthorn, PAID).status == 202
    assert listed(posthorn, platform)[-1] == ("order.paid", "platform")


@pytest.mark.parametrize(
    ("name", "code"),
    [
        ("contact.created", "reserved_event_type"),
        ("webhook.painted", "reserved_event_type"),
        ("bounce", "reserved_event_type"),
        ("order#paid", "invalid_event_type"),
        ("order paid", "invalid_event_type"),
        ("ORDER_*", "invalid_event_type"),
        ("/orders", "invalid_event_type"),
        ("a" * 129, "invalid_event_type"),
    ],
)
def test_a_name_that_cannot_be_created_is_refused(
    posthorn: Installation, platform: str, name: str, code: str
) -> None:
    """The platform's names obey the same rules, whichever request creates them."""
    for reply in (put(posthorn, platform, name), create(posthorn, name, key=platform)):
        assert reply.status == 422
        assert [error["pointer"] for error in reply.body["errors"]] == ["/name"]
    assert put(posthorn, platform, name).body["code"] == code
    assert listed(posthorn, platform) == listed(posthorn)
    assert [source for _, source in listed(posthorn)] == ["built-in"] * len(built_in())


@pytest.mark.parametrize(
    ("fields", "status", "pointer"),
    [
        ({"schema": {"type": "text"}}, 422, "/schema/type"),
        ({"example": {"contact": {}}}, 422, "/example"),
        ({"description": ""}, 422, "/description"),
        ({"source": "own"}, 422, "/source"),
        ({"schema": {"title": "x" * 33_000}}, 413, "/schema"),
    ],
)
def test_a_refused_change_changes_nothing(
    posthorn: Installation, platform: str, fields: dict[str, Any], status: int, pointer: str
) -> None:
    """The error points to its cause, and the type stays as it was."""
    made = put(posthorn, platform)
    reply = put(posthorn, platform, **fields)

    assert reply.status == status
    assert [error["pointer"] for error in reply.body["errors"]] == [pointer]
    assert posthorn.call("GET", f"{PATH}/order.paid").body == made.body


def test_the_platforms_types_are_limited_too(
    posthorn: Installation, platform: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Concurrent requests never exceed the limit, which workspaces do not share; a change needs no room."""
    monkeypatch.setattr(store, "MAX_OWN", 3)
    with ThreadPoolExecutor(6) as pool:
        replies = list(pool.map(lambda number: put(posthorn, platform, f"TYPE_{number}"), range(6)))

    made = [reply.body["eventType"]["name"] for reply in replies if reply.status == 201]
    assert len(made) == 3
    assert [reply.body["code"] for reply in replies if reply.status != 201] == ["too_many_event_types"] * 3
    assert put(posthorn, platform, made[0]).status == 200
    assert create(posthorn, "ROOM_HERE").status == 201
    assert posthorn.call("DELETE", f"{PATH}/{made[0]}", key=platform).status == 200
    assert put(posthorn, platform, "ROOM_FOR_ONE").status == 201
    assert put(posthorn, platform, "ROOM_FOR_TWO").status == 409


def test_of_requests_at_once_for_one_name_one_creates_it(posthorn: Installation, platform: str) -> None:
    """The others change it: the stored type is one of those that were put, and takes one slot."""
    with ThreadPoolExecutor(4) as pool:
        replies = list(
            pool.map(lambda number: put(posthorn, platform, description=f"Version {number}"), range(4))
        )

    assert sorted(reply.status for reply in replies) == [200, 200, 200, 201]
    last = posthorn.call("GET", f"{PATH}/order.paid").body
    assert last in [reply.body for reply in replies]
    rows = clients.client("dynamodb").scan(TableName=posthorn.tables["ConfigTable"])["Items"]
    slots = [row for row in rows if row["sk"]["S"].startswith("event-type-slot#")]
    assert [row["pk"]["S"] for row in slots] == [PLATFORM]
