"""Names of event types: those of other publishers, reserved ones, and an installation without the built-in catalog."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING
from unittest import mock
from urllib.parse import quote

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from posthorn.domain.email_types import EMAIL_TYPES
from posthorn.domain.event_types import built_in
from tests.event_types import PATH, SCHEMA, create, publish
from tests.installation import running
from tests.network import answers

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.installation import Installation


PUBLISHERS = sorted((Path(__file__).parents[1] / "vectors" / "event_names").glob("*.json"))


@pytest.fixture
def bare() -> Iterator[Installation]:
    """Give an installation without the built-in catalog."""
    with running(BuiltInEventTypes="none") as installation:
        yield installation


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
