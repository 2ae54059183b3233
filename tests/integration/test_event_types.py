"""`/v1/event-types`: the catalog, a workspace's own types, and publishing events of both."""

from __future__ import annotations

import json
import re
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any
from unittest import mock
from urllib.parse import quote

import pytest
from botocore.client import BaseClient
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from posthorn.aws import clients
from posthorn.domain.email_types import EMAIL_TYPES
from posthorn.domain.event_types import built_in
from posthorn.stores import event_types as store
from tests.conflicts import CANCELED, refusal
from tests.installation import running
from tests.moto_account import listening
from tests.network import answers

if TYPE_CHECKING:
    from collections.abc import Iterator

    from botocore.awsrequest import AWSResponse

    from tests.installation import Installation, Reply

PATH = "/v1/event-types"
SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": {"order": {"type": "object", "properties": {"total": {"type": "integer"}}}},
    "required": ["order"],
}
ORDER: dict[str, Any] = {
    "name": "ORDER_PAID",
    "description": "An order was paid",
    "example": {"order": {"id": "ord_1", "total": 1200}},
    "schema": SCHEMA,
}


PUBLISHERS = sorted((Path(__file__).parents[1] / "vectors" / "event_names").glob("*.json"))


def create(posthorn: Installation, *, key: str | None = None, once: str = "", **fields: Any) -> Reply:
    headers = {"idempotency-key": once} if once else {}
    return posthorn.call("POST", PATH, {**ORDER, **fields}, key=key, headers=headers)


def publish(posthorn: Installation, event: str, data: Any) -> Reply:
    return posthorn.call("POST", "/v1/events", {"event": event, "data": data})


@pytest.fixture
def bare() -> Iterator[Installation]:
    """Give an installation without the built-in catalog."""
    with running(BuiltInEventTypes="none") as installation:
        yield installation


@pytest.fixture
def calls() -> Iterator[list[str]]:
    """Return a list that collects the name of every AWS call."""
    made: list[str] = []
    plain = BaseClient._make_api_call  # type: ignore[attr-defined]  # not in the stubs

    def noted(self: BaseClient, name: str, parameters: Any) -> Any:
        made.append(name)
        return plain(self, name, parameters)

    with mock.patch.object(BaseClient, "_make_api_call", noted):
        yield made


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
    ("name", "code"),
    [
        ("CONTACT_CREATED", "reserved_event_type"),
        ("contact.created", "reserved_event_type"),
        *((one.name, "reserved_event_type") for one in EMAIL_TYPES),
        ("WEBHOOK_PAINTED", "reserved_event_type"),
        ("webhook.painted", "reserved_event_type"),
        ("webhook.paintedTwice", "reserved_event_type"),
        ("Order Paid", "invalid_event_type"),
        ("ORDER_*", "invalid_event_type"),
        ("order#paid", "invalid_event_type"),
        ("_", "invalid_event_type"),
    ],
)
def test_a_reserved_name_is_refused(posthorn: Installation, name: str, code: str) -> None:
    """Names of built-in, mail and operational types are reserved, and the error says why."""
    reply = create(posthorn, name=name)

    assert (reply.status, reply.body["code"]) == (422, code)
    assert [error["pointer"] for error in reply.body["errors"]] == ["/name"]


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=40, deadline=None)
@given(name=st.text(max_size=12) | st.from_regex(r"[A-Za-z0-9][A-Za-z0-9_.:/-]{0,12}", fullmatch=True))
def test_a_name_that_was_taken_can_be_published(posthorn: Installation, name: str) -> None:
    """Every accepted name can be published, retrieved and deleted as written; any other is a 422."""
    reply = create(posthorn, name=name, schema=None)
    if reply.status != 201:
        assert reply.status in {409, 422}
        return
    assert publish(posthorn, name, {}).status == 202
    assert posthorn.call("GET", f"{PATH}/{quote(name, safe='')}").body == reply.body
    assert posthorn.call("DELETE", f"{PATH}/{quote(name, safe='')}").body == {"deleted": True}


@pytest.mark.parametrize("publisher", PUBLISHERS, ids=lambda path: path.stem)
def test_the_types_of_other_publishers_can_be_created(posthorn: Installation, publisher: Path) -> None:
    """Their names are neither invalid nor reserved, and are shown as they were created."""
    names = json.loads(publisher.read_text("utf-8"))["names"]
    some = names[:: max(1, len(names) // 30)]
    assert {create(posthorn, name=name, schema=None).status for name in some} == {201}

    listed = [one["name"] for one in posthorn.call("GET", f"{PATH}?limit=100").body["eventTypes"]]

    assert sorted(listed) == sorted([*built_in(), *some])


@pytest.mark.parametrize(
    ("name", "pattern"),
    [
        ("orders/create", "orders/*"),
        ("repo:push", "repo:*"),
        ("checkout.session.completed", "checkout.session.*"),
        ("CHECKOUT_SESSION_COMPLETED", "checkout.*"),
        ("payment_intent.succeeded", "payment_intent.*"),
        ("pull_request_review", "pull_request_*"),
        ("userCreated", "userCreated"),
        ("user-data/v2:Export.DONE", "user-data/v2:*"),
        ("A" * 63 + "/" + "b" * 64, "*"),
    ],
)
def test_a_name_works_everywhere(posthorn: Installation, name: str, pattern: str) -> None:
    """A name of any kind is created, found in a path, subscribed to, delivered, found in the log, and deleted."""
    path = f"{PATH}/{quote(name, safe='')}"
    posthorn.network.receivers["hooks.example.com"] = answers(200)

    made = create(posthorn, name=name, schema=None)
    webhook = posthorn.register(events=[pattern])
    posthorn.register(events=[name])
    event_id = posthorn.publish(name)
    posthorn.dispatch()

    assert made.body["eventType"]["name"] == name
    assert posthorn.call("GET", path).body == made.body
    assert posthorn.call("GET", f"{PATH}/{name}").body == made.body  # not encoded
    assert [one.payload["event"] for one in posthorn.network.received] == [name] * 2
    for listed in ("/v1/events", f"/v1/webhooks/{webhook['id']}/deliveries"):
        (kept,) = next(iter(posthorn.call("GET", f"{listed}?event={quote(name, safe='')}").body.values()))
        assert event_id in {kept.get("id"), kept.get("eventId")}
    assert posthorn.call("DELETE", path).body == {"deleted": True}
    assert posthorn.call("GET", path).status == 404


@pytest.mark.parametrize(
    "path",
    ["", "/", "orders", "orders/", "orders/create/", "/orders/create", "orders//create", "orders%252Fcreate"],
)
def test_a_path_that_is_nearly_a_name_finds_nothing(posthorn: Installation, path: str) -> None:
    """A slash is part of the name: one more or one less is another name."""
    create(posthorn, name="orders/create", schema=None)

    assert posthorn.call("DELETE", f"{PATH}/{path}").status == 404
    assert posthorn.call("GET", f"{PATH}/orders/create").status == 200


def test_names_that_differ_are_different_types(posthorn: Installation) -> None:
    """Only CONTACT_LEFT and contact.left are one type; an event of one type reaches no subscriber of another."""
    names = [
        "customer.left_list",
        "customer.left.list",
        "customer_left_list",
        "Customer.Left.List",
        "customer/left.list",
    ]
    posthorn.network.receivers["hooks.example.com"] = answers(200)
    for name in names:
        assert create(posthorn, name=name, schema=None).status == 201
        posthorn.register(events=[name])

    for name in names:
        publish(posthorn, name, {})
    posthorn.dispatch()

    assert sorted(one.payload["event"] for one in posthorn.network.received) == sorted(names)
    assert create(posthorn, name="CUSTOMER_LEFT_LIST").body["code"] == "event_type_exists"


def test_a_refused_type_says_how_to_add_it(posthorn: Installation) -> None:
    """Publishing, subscribing and sending an example name the request that creates a type."""
    webhook = posthorn.register()
    wanted = {"url": "https://hooks.example.com/", "events": ["orders/create", "orders/*"]}

    replies = [
        publish(posthorn, "orders/create", {}),
        posthorn.call("POST", "/v1/webhooks", wanted),
        posthorn.call("POST", f"/v1/webhooks/{webhook['id']}/test", {"event": "orders/create"}),
    ]

    assert {(reply.status, reply.body["code"]) for reply in replies} == {(422, "unknown_event_type")}
    details = [error["detail"] for reply in replies for error in reply.body["errors"]]
    assert {detail.partition(". ")[0] for detail in details} == {
        "Unknown event type orders/create",
        "No event type matches orders/*",
    }
    assert all("POST /v1/event-types" in detail for detail in details)


def test_a_prefix_finds_its_type_behind_others(posthorn: Installation) -> None:
    """Types that are stored between a prefix and its first match do not hide it."""
    for number in range(12):
        create(posthorn, name=f"ORDER_{number}x", schema=None)  # has one spelling, and is stored below ORDER_
    wanted = {"url": "https://hooks.example.com/", "events": ["order.*"]}

    before = posthorn.call("POST", "/v1/webhooks", wanted)
    create(posthorn, name="order.paid")
    after = posthorn.call("POST", "/v1/webhooks", wanted)

    assert (before.status, after.status) == (422, 201)


def test_without_the_catalog_only_operational_and_own_types_exist(bare: Installation) -> None:
    """With `BuiltInEventTypes=none` the seed's types are unknown, and a workspace may create them."""
    listed = bare.call("GET", PATH).body["eventTypes"]
    assert [one["name"] for one in listed] == ["WEBHOOK_FAILING", "WEBHOOK_DISABLED"]
    assert publish(bare, "CONTACT_CREATED", {}).body["code"] == "unknown_event_type"
    assert bare.call("GET", f"{PATH}/CONTACT_CREATED").status == 404
    assert publish(bare, "WEBHOOK_FAILING", {}).body["code"] == "reserved_event_type"
    assert bare.register(events=["*", "webhook.*"])["events"] == ["*", "webhook.*"]

    assert create(bare, name="contact.created", schema=None).status == 201
    bare.network.receivers["hooks.example.com"] = answers(200)
    publish(bare, "contact.created", {})
    bare.dispatch()

    assert [one.payload["event"] for one in bare.network.received] == ["contact.created"]
    assert bare.call("DELETE", f"{PATH}/CONTACT_CREATED").body == {"deleted": True}


@pytest.mark.parametrize(
    ("patterns", "sent"),
    [
        (["*"], "orders/create"),
        (["orders/*"], "orders/create"),
        (["webhook.*", "orders/*"], "orders/create"),
        (["repo:push", "*"], "repo:push"),
        (["webhook.*"], "WEBHOOK_FAILING"),
    ],
)
def test_without_the_catalog_an_example_is_of_an_own_type(
    bare: Installation, patterns: list[str], sent: str
) -> None:
    """The first type by name, else the first own one that matches, else an operational one."""
    for name in ("orders/create", "repo:push"):
        create(bare, name=name)
    webhook = bare.register(events=patterns)

    reply = bare.call("POST", f"/v1/webhooks/{webhook['id']}/test")

    assert reply.body["event"]["event"] == sent


def test_without_the_catalog_there_may_be_no_example(bare: Installation) -> None:
    """A webhook whose only type was deleted has no example to send."""
    create(bare, name="orders/create")
    webhook = bare.register(events=["orders/create", "orders/*"])
    bare.call("DELETE", f"{PATH}/orders/create")

    reply = bare.call("POST", f"/v1/webhooks/{webhook['id']}/test")

    assert (reply.status, reply.body["code"]) == (409, "no_known_type")


def test_a_catalog_that_is_switched_on_later_hides_an_own_type(bare: Installation) -> None:
    """A name is listed once, and the built-in type decides."""
    create(bare, name="contact.created", description="Ours", schema=SCHEMA)
    create(bare, name="orders/create")
    registry = bare.services.event_types
    with mock.patch.object(registry, "_has_catalog", new=True):
        listed = bare.call("GET", PATH).body["eventTypes"]
        assert [one["name"] for one in listed] == [*built_in(), "orders/create"]
        assert publish(bare, "contact.created", {}).status == 202


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
