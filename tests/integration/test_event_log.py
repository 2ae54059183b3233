"""`GET /v1/events`: which events were published, what each webhook received, and why."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from posthorn.api.routes import event_log as routes
from posthorn.domain.models import Status
from posthorn.stores import event_log
from tests.integration.test_lost_answers import lost_answers
from tests.network import answers

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.installation import Installation

HOST = "hooks.example.com"


def _list(posthorn: Installation, query: str = "") -> list[dict[str, Any]]:
    reply = posthorn.call("GET", f"/v1/events{query}")
    assert reply.status == 200, reply
    found: list[dict[str, Any]] = reply.body["events"]
    return found


def _pages(posthorn: Installation, query: str) -> Iterator[list[dict[str, Any]]]:
    cursor = ""
    while True:
        reply = posthorn.call("GET", f"/v1/events?{query}{cursor}")
        assert reply.status == 200, reply
        yield reply.body["events"]
        if "nextCursor" not in reply.body:
            return
        cursor = f"&cursor={reply.body['nextCursor']}"


def _match(posthorn: Installation, event_id: str) -> dict[str, dict[str, Any]]:
    """Return the explanation for each webhook, by its id."""
    reply = posthorn.call("GET", f"/v1/events/{event_id}/match")
    assert reply.status == 200, reply
    assert reply.body["matched"] == any(one["matched"] for one in reply.body["webhooks"])
    return {one["webhookId"]: one for one in reply.body["webhooks"]}


def test_events_are_listed_with_their_deliveries(posthorn: Installation) -> None:
    """The newest comes first; each event has its state at each webhook, but not its data."""
    webhook = posthorn.register(HOST)
    posthorn.network.receivers[HOST] = answers(500)
    first = posthorn.publish()
    posthorn.clock.pass_seconds(1)
    second = posthorn.publish("campaign.sent", created_at="2020-01-01T00:00:00Z")
    posthorn.dispatch()

    assert _list(posthorn) == [
        {
            "id": second,
            "event": "campaign.sent",
            "created_at": "2020-01-01T00:00:00Z",
            "isTest": False,
            "matched": False,
            "deliveries": [],
        },
        {
            "id": first,
            "event": "CONTACT_CREATED",
            "created_at": "2023-04-16T15:45:00Z",
            "isTest": False,
            "matched": True,
            "deliveries": [
                {
                    "webhookId": webhook["id"],
                    "status": "retrying",
                    "attemptCount": 1,
                    "nextAttemptAt": "2023-04-16T15:46:01.000Z",
                }
            ],
        },
    ]


def test_an_event_that_is_on_its_way_has_matched(posthorn: Installation) -> None:
    """Before the dispatcher has seen it, an event has no deliveries, but shows the webhooks that match."""
    posthorn.register(HOST)
    event_id = posthorn.publish()

    (listed,) = _list(posthorn)
    shown = posthorn.call("GET", f"/v1/events/{event_id}").body["event"]

    assert (listed["matched"], listed["deliveries"]) == (True, [])
    assert (shown["matched"], shown["deliveries"], shown["isTest"]) == (True, [], False)


def test_pages_put_together_are_all_events(posthorn: Installation, monkeypatch: pytest.MonkeyPatch) -> None:
    """For any limit and filter, each event comes once and in order, however few rows a query returns."""
    published = []
    for number in range(23):
        posthorn.clock.pass_seconds(number % 3)  # some within one millisecond
        published.append(posthorn.publish("contact.deleted" if number % 4 == 0 else "CONTACT_CREATED"))
    in_order = sorted(published, reverse=True)
    deleted = [one for one in in_order if published.index(one) % 4 == 0]
    monkeypatch.setattr(event_log, "_SPARE_ROWS", 1)
    monkeypatch.setattr(event_log, "_FILTERED_ROWS", 2)

    for limit in (1, 2, 5, 23, 100):
        for query, wanted in (("", in_order), ("&event=CONTACT_DELETED", deleted)):
            pages = list(_pages(posthorn, f"limit={limit}{query}"))
            assert [one["id"] for page in pages for one in page] == wanted
            assert max(map(len, pages)) <= limit


def test_events_are_listed_for_a_time(posthorn: Installation) -> None:
    """`since` is inclusive and `until` exclusive, with any offset."""
    found = []
    for _ in range(4):
        found.append(posthorn.publish())
        posthorn.clock.pass_seconds(1)
    base = "2023-04-16T15:45:0"

    def ids(query: str) -> list[str]:
        return [one["id"] for one in _list(posthorn, query)]

    assert ids(f"?since={base}1Z") == found[:0:-1]
    assert ids(f"?until={base}1Z") == found[:1]
    assert ids(f"?since={base}1Z&until=2023-04-16T10:15:03-05:30") == [found[2], found[1]]
    assert ids(f"?since={base}3Z&until={base}1Z") == []
    assert ids("?since=1969-01-01T00:00:00Z&until=9999-12-31T23:59:59Z") == found[::-1]


@pytest.mark.parametrize("query", ["since=yesterday", "until=2023-02-30T00:00:00Z", "event=Contact+Created"])
def test_an_invalid_filter_is_refused(posthorn: Installation, query: str) -> None:
    """The error points at the filter."""
    reply = posthorn.call("GET", f"/v1/events?{query}")

    assert (reply.status, reply.body["code"]) == (400, "invalid_filter")
    assert reply.body["errors"][0]["pointer"] == "/" + query.partition("=")[0]


def test_a_page_asks_for_so_many_deliveries_and_no_more(
    posthorn: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With many webhooks, pages are shorter, and still no event is missing."""
    for number in range(3):
        posthorn.register(f"h{number}.example.com")
        posthorn.network.receivers[f"h{number}.example.com"] = answers(200)
    events = [posthorn.publish() for _ in range(5)]
    posthorn.dispatch()
    monkeypatch.setattr(routes, "LOOKUPS", 7)

    pages = list(_pages(posthorn, "limit=100"))

    assert [len(page) for page in pages] == [2, 2, 1]
    assert [one["id"] for page in pages for one in page] == sorted(events, reverse=True)
    assert {len(one["deliveries"]) for page in pages for one in page} == {3}


def test_events_of_others_are_not_listed(posthorn: Installation) -> None:
    """A workspace lists neither events of other workspaces nor those of its own configuration sets."""
    _, other = posthorn.new_workspace()
    event_id = posthorn.publish()
    posthorn.call("POST", "/v1/events", {"event": "CONTACT_CREATED", "data": {}}, key=other)
    path = "/api/v1/partner/email/configuration-sets"
    set_id = posthorn.call("POST", path, {"name": "production"}).body["config_set_id"]
    destination = {
        "name": "webhook",
        "destination_type": "WEBHOOK",
        "webhook_url": "https://yourapp.com/hook",
        "webhook_secret": "your-shared-secret-32-chars",
        "matching_event_types": ["send"],
    }
    path = f"{path}/{set_id}/event-destinations"
    made = posthorn.call("POST", path, destination).body["destination_id"]
    of_set = posthorn.call("POST", f"{path}/{made}/test").body["event"]["id"]

    assert [one["id"] for one in _list(posthorn)] == [event_id]
    for path in (f"/v1/events/{of_set}", f"/v1/events/{of_set}/match"):
        assert posthorn.call("GET", path).status == 404
    assert posthorn.call("GET", f"/v1/events/{event_id}/match", key=other).status == 404


# ---- deleted webhooks


def test_deliveries_outlive_their_webhook(posthorn: Installation) -> None:
    """List, event and explanation show deliveries from before the webhook was deleted, and when that was."""
    webhook = posthorn.register(HOST)
    posthorn.network.receivers[HOST] = answers(200)
    event_id = posthorn.publish()
    posthorn.dispatch()
    posthorn.clock.pass_seconds(120)
    posthorn.call("DELETE", f"/v1/webhooks/{webhook['id']}")
    later = posthorn.publish()
    posthorn.dispatch()

    newer, older = _list(posthorn)
    shown = posthorn.call("GET", f"/v1/events/{event_id}").body["event"]["deliveries"]

    gone = {"webhookId": webhook["id"], "deletedAt": "2023-04-16T15:47:00Z"}
    assert older["deliveries"] == [{**gone, "status": "delivered", "attemptCount": 1}]
    assert [one | gone for one in shown] == shown
    assert shown[0]["attempts"][0]["status"] == 200
    assert (newer["matched"], newer["deliveries"]) == (False, [])
    assert _match(posthorn, event_id)[webhook["id"]]["reason"] == "matched"
    explained = _match(posthorn, later)[webhook["id"]]
    assert (explained["matched"], explained["reason"]) == (False, "deleted")
    assert explained["deletedAt"] == "2023-04-16T15:47:00Z"


def test_a_deleted_webhook_is_gone_though_its_marker_stays(posthorn: Installation) -> None:
    """The deleted webhook's marker holds neither URL nor token, and a second delete finds nothing."""
    webhook = posthorn.register(HOST)
    path = f"/v1/webhooks/{webhook['id']}"

    first, second = posthorn.call("DELETE", path), posthorn.call("DELETE", path)

    assert (first.status, second.status) == (200, 404)
    assert posthorn.call("GET", "/v1/webhooks").body == {"webhooks": []}
    assert HOST not in posthorn.everything_stored()


def test_a_delete_whose_answer_was_lost_is_done(posthorn: Installation) -> None:
    """The repeated call finds its own marker, so the caller learns that the delete succeeded."""
    webhook = posthorn.register(HOST)

    with lost_answers("TransactWriteItems"):
        reply = posthorn.call("DELETE", f"/v1/webhooks/{webhook['id']}")

    assert (reply.status, reply.body) == (200, {"deleted": True})
    assert len(posthorn.services.deleted_endpoints.of_channel(posthorn.workspace)) == 1


def test_a_webhook_that_cannot_be_read_can_be_deleted(posthorn: Installation) -> None:
    """A row that this version cannot read can still be deleted."""
    from posthorn.aws import clients

    webhook = posthorn.register(HOST)
    clients.client("dynamodb").update_item(
        TableName=posthorn.tables["ConfigTable"],
        Key={"pk": {"S": posthorn.workspace}, "sk": {"S": f"endpoint#{webhook['id']}"}},
        UpdateExpression="SET #format = :new",
        ExpressionAttributeNames={"#format": "format"},
        ExpressionAttributeValues={":new": {"S": "smoke-signals"}},
    )

    assert posthorn.call("DELETE", f"/v1/webhooks/{webhook['id']}").status == 200
    assert posthorn.call("DELETE", f"/v1/webhooks/{webhook['id']}").status == 404


# ---- explanations


def test_every_webhook_is_explained(posthorn: Installation) -> None:
    """Each webhook has one reason and the facts behind it."""
    by_prefix = posthorn.register("prefix.example.com", events=["CAMPAIGN_SENT", "contact.*"])
    unwanted = posthorn.register("unwanted.example.com", events=["CAMPAIGN_SENT"])
    disabled = posthorn.register("disabled.example.com", enabled=False)
    posthorn.network.receivers["prefix.example.com"] = answers(404)
    event_id = posthorn.publish()
    posthorn.dispatch()
    posthorn.clock.pass_seconds(1)
    later = posthorn.register("later.example.com")

    found = _match(posthorn, event_id)

    assert found[by_prefix["id"]] == {
        "webhookId": by_prefix["id"],
        "matched": True,
        "reason": "matched",
        "explanation": "This endpoint is subscribed to the event's type.",
        "createdAt": "2023-04-16T15:45:00Z",
        "pattern": "contact.*",
        "delivery": {"status": "failed", "attemptCount": 1, "reason": "rejected"},
    }
    reasons = {one: (found[one]["matched"], found[one]["reason"]) for one in found}
    assert reasons == {
        by_prefix["id"]: (True, "matched"),
        unwanted["id"]: (False, "type_not_wanted"),
        disabled["id"]: (True, "disabled"),
        later["id"]: (False, "created_later"),
    }
    assert found[disabled["id"]]["disabledReason"] == "manual"
    assert found[disabled["id"]]["disabledAt"] == "2023-04-16T15:45:00Z"
    assert found[disabled["id"]]["delivery"]["reason"] == "endpoint_disabled"
    assert "pattern" not in found[unwanted["id"]]


def test_a_webhook_that_wanted_it_then_is_explained_by_its_delivery(posthorn: Installation) -> None:
    """Its current event types do not change what it received, which list and event show too."""
    webhook = posthorn.register(HOST)
    posthorn.network.receivers[HOST] = answers(200)
    event_id = posthorn.publish()
    posthorn.dispatch()
    posthorn.call("PUT", f"/v1/webhooks/{webhook['id']}", {"events": ["CAMPAIGN_SENT"]})

    explained = _match(posthorn, event_id)[webhook["id"]]
    (listed,) = _list(posthorn)

    assert (explained["matched"], explained["delivery"]["status"]) == (True, Status.DELIVERED)
    assert "pattern" not in explained
    assert [one["webhookId"] for one in listed["deliveries"]] == [webhook["id"]]


def test_an_example_event_of_another_webhook_is_explained(posthorn: Installation) -> None:
    """The type matches, but the example event was sent to one endpoint only."""
    tested, other = posthorn.register(HOST), posthorn.register("other.example.com")
    posthorn.network.receivers[HOST] = answers(200)
    event_id = posthorn.call("POST", f"/v1/webhooks/{tested['id']}/test").body["event"]["id"]
    posthorn.dispatch()

    found = _match(posthorn, event_id)

    assert (found[tested["id"]]["matched"], found[tested["id"]]["reason"]) == (True, "test")
    assert (found[other["id"]]["matched"], found[other["id"]]["reason"]) == (False, "test_of_another")
