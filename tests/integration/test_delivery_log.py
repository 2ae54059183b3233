"""The delivery log: lists with filters and cursors, in the spelling of webhooks and of event destinations."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from posthorn.api.routes.configuration_sets import PATH as SETS
from posthorn.aws import clients
from posthorn.domain.clock import rfc3339
from posthorn.domain.ids import made_at
from posthorn.domain.models import DeliveryKey, Failure, Status
from posthorn.stores import delivery_log
from posthorn.stores.table import Page
from tests.delivery_log import OURS, deliver_to, log_of
from tests.network import answers, fails

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.installation import Installation


def _pages(posthorn: Installation, path: str, name: str = "deliveries") -> Iterator[list[dict[str, Any]]]:
    cursor = ""
    while True:
        reply = posthorn.call("GET", path + cursor)
        assert reply.status == 200, reply
        yield reply.body[name]
        if "nextCursor" not in reply.body:
            return
        cursor = f"&cursor={reply.body['nextCursor']}"


def test_the_log_begins_with_the_newest(posthorn: Installation, webhook: dict[str, Any]) -> None:
    """The newest comes first; each entry has its state and last attempt only."""
    first = deliver_to(posthorn, answers(204))
    second = deliver_to(posthorn, answers(500), "contact.deleted")

    newer, older = log_of(posthorn, webhook)

    assert older == {
        "eventId": first,
        "event": "CONTACT_CREATED",
        "status": "delivered",
        "attemptCount": 1,
        "generation": 1,
        "isTest": False,
        "createdAt": "2023-04-16T15:45:01.000Z",
        "lastAttempt": {
            "attempt": 1,
            "generation": 1,
            "startedAt": "2023-04-16T15:45:01.000Z",
            "latencyMs": 5,
            "status": 204,
        },
    }
    assert (newer["eventId"], newer["event"]) == (second, "contact.deleted")
    assert (newer["status"], newer["nextAttemptAt"]) == ("retrying", "2023-04-16T15:46:02.000Z")


def test_the_log_is_filtered_by_status(posthorn: Installation, webhook: dict[str, Any]) -> None:
    """Each status filters its own; `undelivered` finds all that did not arrive, in one query."""
    failed = deliver_to(posthorn, answers(404))
    retrying = deliver_to(
        posthorn, fails(Failure.CONNECT)
    )  # a timeout would make it slow, which would queue the next one
    delivered = deliver_to(posthorn, answers(200))
    posthorn.clock.pass_seconds(1)
    queued = posthorn.publish()
    assert posthorn.dispatch(remaining_ms=15_000) == set()

    found = {
        status: [one["eventId"] for one in log_of(posthorn, webhook, f"?status={status}")]
        for status in ("queued", "retrying", "delivered", "failed", "undelivered")
    }

    assert found == {
        "queued": [queued],
        "retrying": [retrying],
        "delivered": [delivered],
        "failed": [failed],
        "undelivered": [queued, retrying, failed],
    }
    assert log_of(posthorn, webhook, "?status=failed")[0]["reason"] == "rejected"


def test_the_log_is_filtered_by_type(posthorn: Installation, webhook: dict[str, Any]) -> None:
    """Either spelling of a type finds both, and no other type."""
    created = deliver_to(posthorn, answers(200), "contact.created")
    other = deliver_to(posthorn, answers(500), "CONTACT_CREATED")
    deliver_to(posthorn, answers(200), "contact.deleted")

    for spelling in ("CONTACT_CREATED", "contact.created"):
        assert [one["eventId"] for one in log_of(posthorn, webhook, f"?event={spelling}")] == [other, created]
    assert [
        one["eventId"] for one in log_of(posthorn, webhook, "?event=contact.created&status=undelivered")
    ] == [other]
    assert log_of(posthorn, webhook, "?event=CONTACT") == []


def test_the_log_is_filtered_by_time(posthorn: Installation, webhook: dict[str, Any]) -> None:
    """`since` is included, `until` is not; any offset is accepted, and both combine with the other filters."""
    posthorn.clock.pass_seconds(60 - posthorn.clock() / 1000 % 60)
    found = []
    for number in range(4):
        event = "CONTACT_DELETED" if number == 2 else "CONTACT_CREATED"
        before = posthorn.clock()
        found.append((before, deliver_to(posthorn, answers(404 if number % 2 else 200), event)))
        posthorn.clock.pass_seconds(60)
    first, second, third, fourth = (event_id for _, event_id in found)
    times = [rfc3339(made_at(event_id)) for _, event_id in found]

    def listed(query: str) -> list[str]:
        return [one["eventId"] for one in log_of(posthorn, webhook, "?" + query)]

    assert listed(f"since={times[1]}") == [fourth, third, second]
    assert listed(f"until={times[1]}") == [first]
    assert listed(f"since={times[1]}&until={times[3]}") == [third, second]
    offset = times[1].replace("Z", "%2B00:00")
    assert listed(f"since={offset}&until={times[2]}") == [second]
    assert listed(f"since={times[1]}&until={times[3]}&status=undelivered") == [second]
    assert listed(f"since={times[1]}&status=delivered") == [third]
    assert listed(f"since={times[1]}&event=contact.created") == [fourth, second]
    assert listed(f"until={times[3]}&event=contact.created&status=failed") == [second]
    assert listed(f"since={times[2]}&until={times[2]}") == []
    assert listed(f"since={times[3]}&until={times[0]}&status=failed") == []


def test_a_window_reads_its_own_rows_only(
    posthorn: Installation, webhook: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """However many deliveries are newer, one query of one row reaches an old window, with each other filter."""
    monkeypatch.setattr(delivery_log, "_ROWS", 1)
    monkeypatch.setattr(delivery_log, "_INDEX_ROWS", 1)
    monkeypatch.setattr(delivery_log, "PAGES", 1)
    old = deliver_to(posthorn, answers(404))
    posthorn.clock.pass_seconds(60)
    for _ in range(3):
        deliver_to(posthorn, answers(404))
    until = rfc3339(made_at(old) + 2_000)

    for query in ("", "&status=failed", "&event=CONTACT_CREATED"):
        path = f"/v1/webhooks/{webhook['id']}/deliveries?limit=1&until={until}{query}"
        page = posthorn.call("GET", path).body["deliveries"]
        assert [one["eventId"] for one in page] == [old]


@pytest.mark.parametrize(
    "query",
    [
        "status=lost",
        "status=",
        "status=DELIVERED",
        "event=Contact+Created",
        "event=*",
        "since=yesterday",
        "until=2026-01-01",
    ],
)
def test_an_invalid_filter_is_refused(posthorn: Installation, webhook: dict[str, Any], query: str) -> None:
    """The error names the filter, and the allowed values of a status."""
    reply = posthorn.call("GET", f"/v1/webhooks/{webhook['id']}/deliveries?{query}")

    assert (reply.status, reply.body["code"]) == (400, "invalid_filter")
    assert reply.body["errors"][0]["pointer"] == "/" + query.partition("=")[0]
    if query.startswith("status"):
        for status in (*Status, "undelivered"):
            assert status in reply.body["detail"]


def test_pages_put_together_are_the_whole_log(
    posthorn: Installation, webhook: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """For any limit and filter, each entry comes once and in order, wherever queries stop."""
    for number in range(7):
        event = "CONTACT_DELETED" if number % 3 else "CONTACT_CREATED"
        deliver_to(posthorn, answers(200 if number % 2 else 404), event)
    everything = log_of(posthorn, webhook)
    kept = {
        "": everything,
        "&status=undelivered": [one for one in everything if one["status"] == "failed"],
        "&status=delivered": [one for one in everything if one["status"] == "delivered"],
        "&event=CONTACT_DELETED": [one for one in everything if one["event"] == "CONTACT_DELETED"],
        f"&since={everything[4]['createdAt']}": everything[:5],
        f"&until={everything[1]['createdAt']}&status=undelivered": [
            one for one in everything[2:] if one["status"] == "failed"
        ],
    }
    assert [len(wanted) for wanted in kept.values()] == [7, 4, 3, 4, 5, 3]
    monkeypatch.setattr(delivery_log, "_ROWS", 2)
    monkeypatch.setattr(delivery_log, "_INDEX_ROWS", 2)
    monkeypatch.setattr(delivery_log, "PAGES", 2)

    for query, wanted in kept.items():
        for limit in (1, 2, 3, 7, 100):
            path = f"/v1/webhooks/{webhook['id']}/deliveries?limit={limit}{query}"
            pages = list(_pages(posthorn, path))
            assert [one for page in pages for one in page] == wanted
            assert max(map(len, pages)) <= limit


def test_a_cursor_is_bound_to_its_filter(posthorn: Installation, webhook: dict[str, Any]) -> None:
    """A cursor is refused with another filter or for another webhook."""
    for _ in range(3):
        deliver_to(posthorn, answers(404))
    other = posthorn.register("other.example.com")
    path = f"/v1/webhooks/{webhook['id']}/deliveries?limit=1&status=failed"
    cursor = posthorn.call("GET", path).body["nextCursor"]

    assert posthorn.call("GET", f"{path}&cursor={cursor}").status == 200
    for foreign in (
        f"/v1/webhooks/{webhook['id']}/deliveries?limit=1&cursor={cursor}",
        f"/v1/webhooks/{webhook['id']}/deliveries?status=undelivered&cursor={cursor}",
        f"/v1/webhooks/{webhook['id']}/deliveries?status=failed&since=2020-01-01T00:00:00Z&cursor={cursor}",
        f"/v1/webhooks/{other['id']}/deliveries?status=failed&cursor={cursor}",
    ):
        assert posthorn.call("GET", foreign).body["code"] == "invalid_cursor"


def test_a_filtered_list_reads_no_more_than_it_may(
    posthorn: Installation, webhook: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """If nothing matches, the page is empty after a fixed number of queries, and its cursor continues."""
    monkeypatch.setattr(delivery_log, "_ROWS", 1)
    oldest = deliver_to(posthorn, answers(200), "CONTACT_DELETED")
    for _ in range(delivery_log.PAGES + 1):
        deliver_to(posthorn, answers(200))

    pages = list(_pages(posthorn, f"/v1/webhooks/{webhook['id']}/deliveries?event=CONTACT_DELETED"))

    assert pages[0] == []
    assert [one["eventId"] for page in pages for one in page] == [oldest]


def _spoil(posthorn: Installation, key: DeliveryKey) -> None:
    clients.client("dynamodb").update_item(
        TableName=posthorn.tables["DeliveriesTable"],
        Key={"pk": {"S": key.endpoint_id}, "sk": {"S": key.event_id}},
        UpdateExpression="SET v = :newer",
        ExpressionAttributeValues={":newer": {"N": "2"}},
    )


@pytest.mark.parametrize("query", ["", "?status=undelivered", "?event=CONTACT_CREATED"])
def test_a_row_of_a_newer_version_does_not_hide_others(
    posthorn: Installation, webhook: dict[str, Any], query: str
) -> None:
    """An unreadable entry is marked as such; on its own it is a 503, since newer code can read it."""
    newer, known = deliver_to(posthorn, answers(404)), deliver_to(posthorn, answers(404))
    _spoil(posthorn, DeliveryKey(webhook["id"], newer))

    listed = log_of(posthorn, webhook, query)
    alone = posthorn.call("GET", f"/v1/webhooks/{webhook['id']}/deliveries/{newer}")

    assert [one["eventId"] for one in listed] == [known, newer]
    assert listed[1] == {"eventId": newer, "createdAt": "2023-04-16T15:45:01.000Z", "unreadable": True}
    assert (alone.status, alone.body["code"]) == (503, "unreadable")
    assert posthorn.call("GET", f"/v1/events/{newer}").body["event"]["deliveries"] == [
        {"webhookId": webhook["id"], "unreadable": True}
    ]


# ---- event destinations

DESTINATION: dict[str, Any] = {
    "name": "webhook",
    "destination_type": "WEBHOOK",
    "webhook_url": "https://yourapp.com/hook",
    "webhook_secret": "your-shared-secret-32-chars",
    "matching_event_types": ["send", "delivered"],
}


def test_an_event_destination_has_the_same_log_in_its_own_spelling(posthorn: Installation) -> None:
    """Keys are in snake_case, and the shown request is exactly the one sent."""
    set_id = posthorn.call("POST", SETS, {"name": "production"}).body["config_set_id"]
    path = f"{SETS}/{set_id}/event-destinations"
    destination = posthorn.call("POST", path, DESTINATION).body["destination_id"]
    posthorn.network.receivers["yourapp.com"] = answers(500)
    mail = {
        "from": "hello@yourcompany.com",
        "to": ["customer@example.com"],
        "subject": "Welcome",
        "text_body": "Hi",
        "configuration_set_name": "production",
    }
    assert posthorn.call("POST", "/api/v1/partner/email/send", mail).status == 202
    posthorn.notify(posthorn.take("FeedbackQueue"))
    posthorn.dispatch()

    first = posthorn.call("GET", f"{path}/{destination}/deliveries?limit=1").body
    listed = posthorn.call("GET", f"{path}/{destination}/deliveries?event=SEND").body["deliveries"]
    shown = posthorn.call("GET", f"{path}/{destination}/deliveries/{listed[0]['event_id']}").body["delivery"]

    assert set(first) == {"deliveries", "next_cursor"}
    assert (listed[0]["event"], listed[0]["attempt_count"], listed[0]["is_test"]) == ("send", 1, False)
    (sent,) = (one for one in posthorn.network.received if one.id == listed[0]["event_id"])
    (attempt,) = shown["attempts"]
    rebuilt = {name.lower(): value for name, value in attempt["request"]["headers"].items()}
    assert {name: value for name, value in rebuilt.items() if name not in OURS} == sent.headers
    assert shown["request_body"].encode() == sent.body
    assert attempt["timings"]["first_byte"] == 4


def test_a_delivery_of_another_webhook_is_not_found(posthorn: Installation, webhook: dict[str, Any]) -> None:
    """An event delivered to another webhook and an unknown event get the same 404."""
    event_id = deliver_to(posthorn, answers(200), "CONTACT_DELETED")
    other = posthorn.register("other.example.com")

    replies = [
        posthorn.call("GET", f"/v1/webhooks/{other['id']}/deliveries/{one}")
        for one in (event_id, event_id[:-2] + "00", "nonsense")
    ]

    assert {reply.status for reply in replies} == {404}
    assert len({repr(reply.body) for reply in replies}) == 1
    assert webhook["id"] != other["id"]


def test_an_outdated_index_entry_is_not_shown(
    posthorn: Installation, webhook: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The index lags behind: a delivery that has arrived since is not listed as undelivered."""
    arrived = deliver_to(posthorn, answers(200))
    failed = deliver_to(posthorn, answers(404))

    def a_moment_ago(*_: object, **__: object) -> Page:
        rows = [
            {"sk": {"S": event_id}, "status": {"S": "failed"}, "event_type": {"S": "CONTACT_CREATED"}}
            for event_id in (failed, arrived)
        ]
        return Page(rows, last=None)

    monkeypatch.setattr(delivery_log.DeliveryLog, "_query_undelivered", a_moment_ago)

    assert [one["eventId"] for one in log_of(posthorn, webhook, "?status=undelivered")] == [failed]


def test_an_event_of_a_newer_version_is_a_503(posthorn: Installation, webhook: dict[str, Any]) -> None:
    """A single event of a newer version is a 503, but the list still shows it."""
    event_id = deliver_to(posthorn, answers(200))
    table = posthorn.tables["EventsTable"]
    (row,) = clients.client("dynamodb").scan(TableName=table)["Items"]
    clients.client("dynamodb").put_item(TableName=table, Item={**row, "v": {"N": "2"}})

    for path in (f"/v1/events/{event_id}", f"/v1/webhooks/{webhook['id']}/deliveries/{event_id}"):
        reply = posthorn.call("GET", path)
        assert (reply.status, reply.body["code"]) == (503, "unreadable")
        assert reply.headers["retry-after"] == "60"
    assert [one["id"] for one in posthorn.call("GET", "/v1/events").body["events"]] == [event_id]
