"""`/v1/event-types`: the catalog, a workspace's own types, and publishing events of both."""

from __future__ import annotations

import re
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import pytest

from posthorn.aws import clients
from posthorn.domain.event_types import built_in
from posthorn.stores import event_types as store
from tests.conflicts import CANCELED, refusal
from tests.event_types import ORDER, PATH, create, publish
from tests.moto_account import listening
from tests.network import answers

if TYPE_CHECKING:
    from botocore.awsrequest import AWSResponse

    from tests.installation import Installation


def test_a_type_is_shown_as_it_was_made(posthorn: Installation) -> None:
    """Create, retrieve and list return the type as it was spelled; either spelling of its name finds it."""
    made = create(posthorn, name="order.paid")

    assert made.status == 201
    assert made.body == {
        "eventType": {**ORDER, "name": "order.paid", "source": "own", "createdAt": "2023-04-16T15:45:00Z"},
    }
    assert posthorn.call("GET", f"{PATH}/ORDER_PAID").body == made.body
    assert posthorn.call("GET", f"{PATH}/order.paid").body == made.body
    assert posthorn.call("GET", PATH).body["eventTypes"][-1] == made.body["eventType"]


def test_built_in_types_come_first(posthorn: Installation) -> None:
    """The list begins with the catalog, in its order, with descriptions and examples."""
    create(posthorn, name="A_FIRST_LETTER")
    listed = posthorn.call("GET", PATH).body["eventTypes"]

    assert [one["name"] for one in listed] == [*built_in(), "A_FIRST_LETTER"]
    assert [one["source"] for one in listed] == ["built-in"] * len(built_in()) + ["own"]
    assert listed[0]["example"] == built_in()["CONTACT_CREATED"].example
    assert {one["name"] for one in listed if one.get("operational")} == {
        "WEBHOOK_FAILING",
        "WEBHOOK_DISABLED",
    }


@pytest.mark.parametrize("limit", [1, 4, 11, 12, 100])
def test_the_list_has_pages(posthorn: Installation, limit: int) -> None:
    """Pages of any size make the same list, and none is longer than requested."""
    for name in ("ZEBRA", "APPLE", "MANGO"):
        create(posthorn, name=name)
    found: list[str] = []
    path = f"{PATH}?limit={limit}"
    while True:
        body = posthorn.call("GET", path).body
        assert len(body["eventTypes"]) <= limit
        found += [one["name"] for one in body["eventTypes"]]
        if "nextCursor" not in body:
            break
        path = f"{PATH}?limit={limit}&cursor={body['nextCursor']}"

    assert found == [*built_in(), "APPLE", "MANGO", "ZEBRA"]


@pytest.mark.parametrize(
    ("fields", "status", "pointer"),
    [
        ({"schema": {"type": "text"}}, 422, "/schema/type"),
        ({"schema": {"properties": {"a/b": {"pattern": "(?=x)"}}}}, 422, "/schema/properties/a~1b/pattern"),
        ({"schema": {"$ref": "https://example.com/"}}, 422, "/schema"),
        ({"schema": True}, 422, "/schema"),
        ({"example": {"order": {"total": "much"}}}, 422, "/example/order/total"),
        ({"example": {"contact": {}}}, 422, "/example"),
        ({"example": []}, 422, "/example"),
        ({"description": ""}, 422, "/description"),
        ({"json_schema": {}}, 422, "/json_schema"),
        ({"schema": {"title": "x" * 33_000}}, 413, "/schema"),
        ({"schema": None, "example": {"text": "x" * 33_000}}, 413, "/example"),
    ],
)
def test_an_error_in_a_type_has_a_pointer(
    posthorn: Installation, fields: dict[str, Any], status: int, pointer: str
) -> None:
    """An unsupported schema or an example that does not fit it is refused when the type is created."""
    reply = create(posthorn, **fields)

    assert reply.status == status
    assert [error["pointer"] for error in reply.body["errors"]] == [pointer]
    assert posthorn.call("GET", f"{PATH}/ORDER_PAID").status == 404


def test_a_schema_that_nests_too_deep_is_refused(posthorn: Installation) -> None:
    """A schema may nest as deeply as data may."""
    schema: dict[str, Any] = {}
    for _ in range(40):
        schema = {"not": schema}
    assert create(posthorn, schema=schema).status == 422


def test_published_data_is_checked_against_the_schema(posthorn: Installation) -> None:
    """Invalid data is refused with a pointer to each error, and without the data."""
    create(posthorn)

    good = publish(posthorn, "order.paid", {"order": {"total": 5}})
    bad = publish(posthorn, "order.paid", {"order": {"total": "canary-of-the-data"}})
    batch = posthorn.call(
        "POST",
        "/v1/events",
        {"events": [{"event": "ORDER_PAID", "data": {"order": {}}}, {"event": "ORDER_PAID", "data": {}}]},
    )

    assert good.status == 202
    assert (bad.status, bad.body["code"]) == (422, "schema_violation")
    assert [error["pointer"] for error in bad.body["errors"]] == ["/data/order/total"]
    assert "canary" not in repr(bad.body)
    assert (batch.status, batch.body["errors"][0]["pointer"]) == (422, "/events/1/data")


def test_operational_types_cannot_be_published_but_subscribed_to(posthorn: Installation) -> None:
    """Only Posthorn publishes operational events."""
    reply = publish(posthorn, "webhook.disabled", {})

    assert (reply.status, reply.body["code"]) == (422, "reserved_event_type")
    assert posthorn.register(events=["WEBHOOK_DISABLED", "webhook.*"])["events"] == [
        "WEBHOOK_DISABLED",
        "webhook.*",
    ]


def test_an_own_type_reaches_its_subscribers(posthorn: Installation) -> None:
    """A declared type can be subscribed to by name and by prefix, and its events are delivered."""
    create(posthorn)
    posthorn.network.receivers["hooks.example.com"] = answers(200)
    for pattern in ("order.paid", "ORDER_*"):
        posthorn.register(events=[pattern])

    publish(posthorn, "order.paid", {"order": {}})
    posthorn.dispatch()

    assert [one.payload["event"] for one in posthorn.network.received] == ["order.paid"] * 2


@pytest.mark.parametrize("pattern", ["ORDER_PAID", "order.*", "ORDER_*"])
def test_a_pattern_needs_a_type_of_its_workspace(posthorn: Installation, pattern: str) -> None:
    """Another workspace's types are unknown here until this workspace declares them too."""
    _, other = posthorn.new_workspace()
    create(posthorn, key=other)
    wanted = {"url": "https://hooks.example.com/", "events": [pattern]}

    before = posthorn.call("POST", "/v1/webhooks", wanted)
    create(posthorn)
    after = posthorn.call("POST", "/v1/webhooks", wanted)

    assert (before.status, before.body["code"]) == (422, "unknown_event_type")
    assert after.status == 201


def test_types_of_other_workspaces_are_separate(posthorn: Installation) -> None:
    """Two workspaces may declare the same name; each sees, publishes and deletes its own."""
    _, other = posthorn.new_workspace()
    create(posthorn, key=other, description="Theirs")

    assert publish(posthorn, "ORDER_PAID", {"order": {}}).body["code"] == "unknown_event_type"
    assert create(posthorn, description="Ours").status == 201
    assert posthorn.call("DELETE", f"{PATH}/ORDER_PAID").status == 200
    theirs = posthorn.call("GET", f"{PATH}/ORDER_PAID", key=other).body["eventType"]
    assert theirs["description"] == "Theirs"


def test_a_type_works_at_once_and_ends_within_half_a_minute(posthorn: Installation, calls: list[str]) -> None:
    """A miss is not cached; a deleted type is cached elsewhere for up to 30 seconds, at one read."""
    assert publish(posthorn, "ORDER_PAID", {"order": {}}).status == 422
    create(posthorn)
    assert publish(posthorn, "ORDER_PAID", {"order": {}}).status == 202
    calls.clear()
    assert publish(posthorn, "ORDER_PAID", {"order": {}}).status == 202
    assert calls == ["PutItem"]  # the event's row, without a read

    posthorn.services.event_types.store.delete(posthorn.workspace, "ORDER_PAID")  # as in another process
    posthorn.clock.pass_seconds(29)
    assert publish(posthorn, "ORDER_PAID", {"order": {}}).status == 202
    posthorn.clock.pass_seconds(1)
    assert publish(posthorn, "ORDER_PAID", {"order": {}}).body["code"] == "unknown_event_type"


def test_a_built_in_type_costs_no_read(posthorn: Installation, calls: list[str]) -> None:
    """Publishing a built-in type takes one write."""
    publish(posthorn, "CONTACT_CREATED", {})
    calls.clear()
    publish(posthorn, "CONTACT_CREATED", {})
    assert calls == ["PutItem"]


def test_a_type_deleted_here_is_gone_at_once(posthorn: Installation) -> None:
    """The process that deletes a type refuses it at once."""
    create(posthorn)
    publish(posthorn, "ORDER_PAID", {"order": {}})

    assert posthorn.call("DELETE", f"{PATH}/order.paid").body == {"deleted": True}
    assert publish(posthorn, "ORDER_PAID", {"order": {}}).status == 422
    assert posthorn.call("DELETE", f"{PATH}/order.paid").status == 404


def test_built_in_types_stay(posthorn: Installation) -> None:
    """Deleting a built-in type is a conflict, and the error says why."""
    reply = posthorn.call("DELETE", f"{PATH}/contact.created")
    assert (reply.status, reply.body["code"]) == (409, "event_type_built_in")


def test_a_name_is_taken_once(posthorn: Installation) -> None:
    """A second type of the same name in the other spelling is a conflict."""
    create(posthorn)
    reply = create(posthorn, name="order.paid", description="Another")
    assert (reply.status, reply.body["code"]) == (409, "event_type_exists")


def test_a_repetition_makes_one_type(posthorn: Installation) -> None:
    """Repeated and concurrent requests get the same answer; after a deletion the key is used up."""
    with ThreadPoolExecutor(6) as pool:
        replies = list(pool.map(lambda _: create(posthorn, once="order-1"), range(6)))

    assert {repr(reply) for reply in replies} == {repr(create(posthorn, once="order-1"))}
    assert replies[0].status == 201
    assert create(posthorn, once="order-2").body["code"] == "event_type_exists"
    posthorn.call("DELETE", f"{PATH}/ORDER_PAID")
    assert create(posthorn, once="order-1").body["code"] == "idempotency_key_reused"


def test_the_limit_holds_for_requests_at_once(
    posthorn: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Concurrent requests never exceed the limit of types; deleting one makes room for one."""
    monkeypatch.setattr(store, "MAX_OWN", 3)
    with ThreadPoolExecutor(6) as pool:
        replies = list(pool.map(lambda n: create(posthorn, name=f"TYPE_{n}"), range(6)))
    made = [reply for reply in replies if reply.status == 201]
    refused = [reply.body["code"] for reply in replies if reply.status != 201]

    assert len(made) == 3
    assert refused == ["too_many_event_types"] * 3
    posthorn.call("DELETE", f"{PATH}/{made[0].body['eventType']['name']}")
    assert create(posthorn, name="ROOM_FOR_ONE").status == 201
    assert create(posthorn, name="ROOM_FOR_TWO").status == 409


def test_types_registered_at_once_are_all_created(
    posthorn: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As Terraform does, ten requests at once: each meets two conflicts, and each is answered 201."""
    monkeypatch.setattr(clients, "pauses", lambda: iter([0.0] * 5))
    refused: Counter[str] = Counter()

    def refuse_twice(request: Any, **_: object) -> AWSResponse | None:
        (name,) = re.findall(r"event-type#(\w+)", request.body.decode())
        refused[name] += 1
        return refusal(request, CANCELED, "None", "TransactionConflict") if refused[name] <= 2 else None

    with (
        listening("dynamodb", "before-send.dynamodb.TransactWriteItems", refuse_twice),
        ThreadPoolExecutor(10) as pool,
    ):
        replies = list(pool.map(lambda n: create(posthorn, name=f"TYPE_{n}"), range(10)))

    assert [reply.status for reply in replies] == [201] * 10
    assert min(refused.values()) >= 3
    shown = posthorn.call("GET", f"{PATH}?limit=100").body["eventTypes"]
    assert {one["name"] for one in shown if one["source"] == "own"} == {f"TYPE_{n}" for n in range(10)}


def test_types_registered_at_once_write_no_row_together(posthorn: Installation) -> None:
    """Each request writes rows of its own, so that they seldom conflict at all."""
    written: list[str] = []

    def note(request: Any, **_: object) -> None:
        written.extend(set(re.findall(r'"sk": ?{"S": ?"([^"]+)"', request.body.decode())))

    with listening("dynamodb", "before-send.dynamodb.TransactWriteItems", note):
        for number in range(10):
            assert create(posthorn, name=f"TYPE_{number}").status == 201

    assert len(written) >= 20
    assert len(written) == len(set(written))
