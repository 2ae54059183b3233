"""`/v1/webhooks` as the published API documents it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from posthorn.domain.models import DeliveryKey, Reason
from tests.network import answers

if TYPE_CHECKING:
    from tests.installation import Installation


def test_create_answers_the_published_shape(posthorn: Installation) -> None:
    """Creating the webhook of the published example returns its fields, including the given token."""
    wanted = {
        "url": "https://example.com/webhooks/zootools",
        "events": ["CONTACT_CREATED", "CONTACT_UPDATED"],
        "token": "optional_secret_token",
    }

    reply = posthorn.call("POST", "/v1/webhooks", wanted)

    assert reply.status == 201
    webhook = reply.body["webhook"]
    assert list(reply.body) == ["webhook"]
    assert {name: webhook[name] for name in wanted} == wanted
    assert webhook["id"].startswith("wh_")
    assert webhook["createdAt"] == "2023-04-16T15:45:00Z"


def test_a_token_is_generated_when_none_is_given(posthorn: Installation) -> None:
    """Two webhooks without a given token get different ones, both with the published prefix."""
    first, second = posthorn.register("a.example.com"), posthorn.register("b.example.com")

    assert first["token"].startswith("wht_")
    assert len(first["token"]) >= 4 + 32
    assert first["token"] != second["token"]


def test_the_token_is_shown_on_retrieve_and_update_but_never_in_the_list(posthorn: Installation) -> None:
    """The token is returned by create, retrieve and update, but not by the list."""
    webhook = posthorn.register(token="a-token-of-my-own")
    path = f"/v1/webhooks/{webhook['id']}"

    retrieved = posthorn.call("GET", path)
    updated = posthorn.call("PUT", path, {"description": "billing"})
    listed = posthorn.call("GET", "/v1/webhooks")

    assert retrieved.body["webhook"]["token"] == "a-token-of-my-own"
    assert updated.body["webhook"]["token"] == "a-token-of-my-own"
    assert [entry["id"] for entry in listed.body["webhooks"]] == [webhook["id"]]
    assert "token" not in listed.body["webhooks"][0]


def test_the_token_is_stored_encrypted(posthorn: Installation) -> None:
    """No row of the ConfigTable holds the plain token."""
    from posthorn.aws import clients

    posthorn.register(token="a-token-of-my-own")

    rows = clients.client("dynamodb").scan(TableName=posthorn.tables["ConfigTable"])["Items"]

    assert rows
    assert b"a-token-of-my-own" not in repr(rows).encode()


@pytest.mark.parametrize(
    ("change", "stays"),
    [
        ({"url": "https://new.example.com/hook"}, {"events": ["CONTACT_CREATED"]}),
        ({"events": ["*"]}, {"url": "https://hooks.example.com/hook"}),
        ({"token": "another-token-of-mine"}, {"events": ["CONTACT_CREATED"]}),
        ({"description": "billing"}, {"retry_rate_limited": False}),
        ({"retry_rate_limited": True}, {"description": None}),
        ({"format": "standard_json"}, {"enabled": True}),
        ({"description": "billing"}, {"format": "event_json"}),
        ({}, {"enabled": True}),
    ],
)
def test_an_update_changes_only_the_given_fields(
    posthorn: Installation, change: dict[str, object], stays: dict[str, object]
) -> None:
    """PUT takes any subset of the fields and leaves the others unchanged."""
    webhook = posthorn.register()

    reply = posthorn.call("PUT", f"/v1/webhooks/{webhook['id']}", change)

    assert reply.status == 200
    again = posthorn.call("GET", f"/v1/webhooks/{webhook['id']}").body["webhook"]
    assert reply.body["webhook"] == again
    assert again == {**webhook, **change}
    assert {name: again[name] for name in stays} == stays


def test_disabling_by_hand_says_so_and_enabling_clears_it(posthorn: Installation) -> None:
    """A disabled webhook shows why and since when; an enabled one shows neither."""
    webhook = posthorn.register()
    path = f"/v1/webhooks/{webhook['id']}"
    posthorn.clock.pass_seconds(60)

    off = posthorn.call("PUT", path, {"enabled": False}).body["webhook"]
    on = posthorn.call("PUT", path, {"enabled": True}).body["webhook"]

    assert (off["enabled"], off["disabledReason"], off["disabledAt"]) == (
        False,
        "manual",
        "2023-04-16T15:46:00Z",
    )
    assert on == webhook


def test_delete_answers_the_published_word_and_then_the_webhook_is_gone(posthorn: Installation) -> None:
    """DELETE answers `{"deleted": true}` once, and 404 from then on."""
    webhook = posthorn.register()
    path = f"/v1/webhooks/{webhook['id']}"

    first, second = posthorn.call("DELETE", path), posthorn.call("DELETE", path)

    assert (first.status, first.body) == (200, {"deleted": True})
    assert second.status == 404
    assert posthorn.call("GET", path).status == 404
    assert posthorn.call("GET", "/v1/webhooks").body["webhooks"] == []


def test_the_pages_together_are_the_whole_list(posthorn: Installation) -> None:
    """Following the cursors shows every webhook once, in order of creation."""
    made = []
    for number in range(5):
        posthorn.clock.pass_seconds(1)
        made.append(posthorn.register(f"h{number}.example.com")["id"])

    seen, path, pages = [], "/v1/webhooks?limit=2", 0
    while path:
        body = posthorn.call("GET", path).body
        seen += [webhook["id"] for webhook in body["webhooks"]]
        pages += 1
        path = f"/v1/webhooks?limit=2&cursor={body['nextCursor']}" if "nextCursor" in body else ""

    assert seen == made
    assert pages == 3


def test_a_cursor_is_refused_in_another_workspace(posthorn: Installation) -> None:
    """A cursor of one workspace is refused in another."""
    for number in range(3):
        posthorn.register(f"h{number}.example.com")
    cursor = posthorn.call("GET", "/v1/webhooks?limit=2").body["nextCursor"]
    _, other = posthorn.new_workspace()

    mine = posthorn.call("GET", f"/v1/webhooks?cursor={cursor}")
    foreign = posthorn.call("GET", f"/v1/webhooks?cursor={cursor}", key=other)

    assert mine.status == 200
    assert (foreign.status, foreign.body["code"]) == (400, "invalid_cursor")


@pytest.mark.parametrize("limit", ["0", "101", "-1", "x", "", "9999999999999999999", "1e1"])
def test_a_bad_limit_is_refused(posthorn: Installation, limit: str) -> None:
    """A limit that is not an integer from 1 to 100 is an error."""
    reply = posthorn.call("GET", f"/v1/webhooks?limit={limit}")

    assert (reply.status, reply.body["code"]) == (400, "invalid_limit")


def test_a_repeated_create_makes_one_webhook(posthorn: Installation) -> None:
    """The same Idempotency-Key and body return the same webhook and token, created once."""
    wanted = {"url": "https://hooks.example.com/hook", "events": ["*"]}
    key = {"idempotency-key": "order-4711"}

    first = posthorn.call("POST", "/v1/webhooks", wanted, headers=key)
    posthorn.clock.pass_seconds(3600)
    second = posthorn.call("POST", "/v1/webhooks", wanted, headers=key)

    assert first.status == 201
    assert (second.status, second.body) == (first.status, first.body)
    assert len(posthorn.call("GET", "/v1/webhooks").body["webhooks"]) == 1


@pytest.mark.parametrize("rotated_by", ["rotate-token", "update"])
def test_a_repeated_create_shows_no_token_that_its_key_may_not_retrieve(
    posthorn: Installation, rotated_by: str
) -> None:
    """An `api_user` key gets back the token it created, and none that replaced it; a `user` key may see both."""
    wanted = {"url": "https://hooks.example.com/hook", "events": ["*"]}
    once = {"idempotency-key": "order-4711"}
    narrow, wide = posthorn.new_key("api_user"), posthorn.new_key("api_user", "user")
    first = posthorn.call("POST", "/v1/webhooks", wanted, key=narrow, headers=once).body["webhook"]
    lost = posthorn.call("POST", "/v1/webhooks", wanted, key=narrow, headers=once).body["webhook"]
    path = f"/v1/webhooks/{first['id']}"
    if rotated_by == "update":
        posthorn.call("PUT", path, {"token": "a-token-of-the-owner"})
    else:
        posthorn.call("POST", f"{path}/rotate-token", {})
    current = posthorn.call("GET", path).body["webhook"]

    repeated = posthorn.call("POST", "/v1/webhooks", wanted, key=narrow, headers=once)
    allowed = posthorn.call("POST", "/v1/webhooks", wanted, key=wide, headers=once)

    assert lost == first
    assert current["token"] != first["token"]
    assert posthorn.call("GET", path, key=narrow).status == 403
    assert repeated.status == 201
    assert repeated.body["webhook"] == {name: value for name, value in current.items() if name != "token"}
    assert allowed.body["webhook"] == current


def test_an_idempotency_key_is_forgotten_after_a_day(posthorn: Installation) -> None:
    """After 24 hours the same key creates a new webhook, even while the old record is still stored."""
    wanted = {"url": "https://hooks.example.com/hook", "events": ["*"]}
    key = {"idempotency-key": "order-4711"}
    posthorn.call("POST", "/v1/webhooks", wanted, headers=key)
    posthorn.clock.pass_seconds(24 * 3600 + 1)

    posthorn.call("POST", "/v1/webhooks", wanted, headers=key)

    assert len(posthorn.call("GET", "/v1/webhooks").body["webhooks"]) == 2


def test_a_repeated_create_does_not_bring_back_a_deleted_webhook(posthorn: Installation) -> None:
    """If the webhook has been deleted since, the retry says so and does not create it again."""
    wanted = {"url": "https://hooks.example.com/hook", "events": ["*"]}
    key = {"idempotency-key": "order-4711"}
    webhook = posthorn.call("POST", "/v1/webhooks", wanted, headers=key).body["webhook"]
    posthorn.call("DELETE", f"/v1/webhooks/{webhook['id']}")

    again = posthorn.call("POST", "/v1/webhooks", wanted, headers=key)

    assert again.status == 409
    assert posthorn.call("GET", "/v1/webhooks").body["webhooks"] == []


def test_a_name_without_an_address_yet_can_be_registered(posthorn: Installation) -> None:
    """A receiver that is not in DNS yet is accepted; the attempt resolves it again."""
    assert posthorn.register("not-in-dns-yet.example.com")["id"]


def test_a_name_with_a_private_address_is_refused(posthorn: Installation) -> None:
    """A name that resolves to a private address is refused on create and on update."""
    posthorn.names["inside.example.com"] = ("93.184.216.34", "10.0.0.7")
    webhook = posthorn.register()

    created = posthorn.call("POST", "/v1/webhooks", {"url": "https://inside.example.com/", "events": ["*"]})
    changed = posthorn.call("PUT", f"/v1/webhooks/{webhook['id']}", {"url": "https://inside.example.com/"})

    assert (created.status, created.body["code"]) == (422, "blocked_address")
    assert (changed.status, changed.body["code"]) == (422, "blocked_address")
    assert "10.0.0.7" not in repr(created.body)
    assert posthorn.call("GET", f"/v1/webhooks/{webhook['id']}").body["webhook"] == webhook


def test_a_url_that_turned_bad_after_registration_is_not_dialled(posthorn: Installation) -> None:
    """The guard checks again at each attempt: a stored URL that is now refused fails unsent."""
    from posthorn.aws import clients

    webhook = posthorn.register()
    posthorn.network.receivers["hooks.example.com"] = answers(200)
    clients.client("dynamodb").update_item(
        TableName=posthorn.tables["ConfigTable"],
        Key={"pk": {"S": posthorn.workspace}, "sk": {"S": f"endpoint#{webhook['id']}"}},
        UpdateExpression="SET #url = :inside",
        ExpressionAttributeNames={"#url": "url"},
        ExpressionAttributeValues={":inside": {"S": "https://10.0.0.7/hook"}},
    )
    event = posthorn.publish()

    failed = posthorn.dispatch()

    row = posthorn.row(DeliveryKey(webhook["id"], event))
    assert failed == set()
    assert posthorn.network.received == []
    assert row is not None
    assert row.reason is Reason.BLOCKED_ADDRESS
