"""Expunging one event's payload: it is gone everywhere, the record of its deliveries stays, and nothing is sent."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from posthorn.api.routes.configuration_sets import PATH as SETS
from posthorn.api.routes.deliveries import PAYLOAD_EXPUNGED
from posthorn.aws import clients
from posthorn.domain.models import DeliveryKey, Reason, Status
from tests.network import answers
from tests.replays import replaying
from tests.sample_requests import destination

if TYPE_CHECKING:
    from tests.installation import Installation, Reply

HOST = "hooks.example.com"
MARK = "ada-lovelace-1815"
DATA = {"contact": {"name": MARK}}
MISSING = "evt_01arz3ndektsv4rrffq69g5fav"


def _expunge(posthorn: Installation, event_id: str, **options: Any) -> Reply:
    return posthorn.call("DELETE", f"/v1/events/{event_id}/data", **options)


def _published(posthorn: Installation, status: int) -> DeliveryKey:
    """Return the delivery of an event whose first attempt got this answer."""
    webhook = posthorn.register(HOST)
    posthorn.network.receivers[HOST] = answers(status)
    key = DeliveryKey(webhook["id"], posthorn.publish(data=DATA))
    assert posthorn.dispatch() == set()
    return key


def _delivery(key: DeliveryKey) -> str:
    return f"/v1/webhooks/{key.endpoint_id}/deliveries/{key.event_id}"


def test_the_payload_is_gone_and_the_record_stays(posthorn: Installation) -> None:
    """The event has no data and says since when; its delivery shows the attempt, and no body, header or command."""
    key = _published(posthorn, 200)
    posthorn.clock.pass_seconds(60)

    reply = _expunge(posthorn, key.event_id)

    assert (reply.status, reply.body) == (
        200,
        {
            "event": {
                "id": key.event_id,
                "event": "CONTACT_CREATED",
                "created_at": "2023-04-16T15:45:00Z",
                "isTest": False,
                "expungedAt": "2023-04-16T15:46:00Z",
            }
        },
    )
    assert MARK not in posthorn.everything_stored()
    shown = posthorn.call("GET", f"/v1/events/{key.event_id}").body["event"]
    assert (shown["data"], shown["expungedAt"]) == (None, "2023-04-16T15:46:00Z")
    assert [one["status"] for one in shown["deliveries"]] == ["delivered"]
    detail = posthorn.call("GET", _delivery(key)).body["delivery"]
    assert (detail["requestBody"], detail["curl"], detail["notes"]) == (None, None, [PAYLOAD_EXPUNGED])
    assert [(one["request"], one["status"]) for one in detail["attempts"]] == [(None, 200)]
    assert posthorn.call("GET", f"/v1/events/{key.event_id}/match").body["matched"]
    (listed,) = posthorn.call("GET", "/v1/events").body["events"]
    assert listed["id"] == key.event_id


def test_expunging_twice_changes_nothing(posthorn: Installation) -> None:
    """The second answer is that of the first, time included."""
    key = _published(posthorn, 200)
    first = _expunge(posthorn, key.event_id)
    posthorn.clock.pass_seconds(60)

    second = _expunge(posthorn, key.event_id)

    assert (second.status, second.body) == (first.status, first.body)


def test_an_unknown_and_a_foreign_event_are_the_same_404(posthorn: Installation) -> None:
    """Another workspace's admin learns nothing and removes nothing; neither does a malformed id."""
    key = _published(posthorn, 200)
    _, foreign = posthorn.new_workspace()

    replies = [
        _expunge(posthorn, key.event_id, key=foreign),
        _expunge(posthorn, MISSING),
        _expunge(posthorn, "evt_1"),
    ]

    assert {(reply.status, reply.body["code"], reply.body["detail"]) for reply in replies} == {
        (404, "not_found", replies[1].body["detail"])
    }
    assert posthorn.call("GET", f"/v1/events/{key.event_id}").body["event"]["data"] == DATA
    assert clients.client("dynamodb").scan(TableName=posthorn.tables["EventsTable"])["Count"] == 1


def test_a_platform_key_names_the_workspace(posthorn: Installation) -> None:
    """With the header it may expunge like an admin key of the workspace; without it, it must name one."""
    key, platform = _published(posthorn, 200), posthorn.new_platform_key()

    unnamed = _expunge(posthorn, key.event_id, key=platform)
    named = _expunge(posthorn, key.event_id, key=platform, headers={"posthorn-workspace": posthorn.workspace})

    assert (unnamed.status, unnamed.body["code"]) == (400, "workspace_required")
    assert named.status == 200


def test_a_retry_that_comes_due_ends_the_delivery(posthorn: Installation) -> None:
    """No request leaves, neither with the payload nor without; no further message is sent."""
    key = _published(posthorn, 500)
    (message,) = posthorn.take("Retry1MinQueue")
    _expunge(posthorn, key.event_id)
    posthorn.clock.pass_seconds(message.delay)

    assert posthorn.deliver([message]) == set()

    row = posthorn.row(key)
    assert row is not None
    assert (row.status, row.reason, row.attempt) == (Status.FAILED, Reason.PAYLOAD_EXPUNGED, 1)
    assert len(posthorn.network.received) == 1
    assert posthorn.waiting("Retry5MinQueue") == []
    assert posthorn.call("GET", _delivery(key)).body["delivery"]["reason"] == "payload_expunged"


def test_a_first_attempt_in_the_queue_is_not_made(posthorn: Installation) -> None:
    """Messages hold no payload: a delivery that waits for its first attempt ends unsent."""
    webhook = posthorn.register(HOST)
    key = DeliveryKey(webhook["id"], posthorn.publish(data=DATA))
    posthorn.dispatch(remaining_ms=15_000)
    _expunge(posthorn, key.event_id)

    assert MARK not in posthorn.everything_stored()
    assert posthorn.deliver(posthorn.take("DeliverQueue")) == set()

    row = posthorn.row(key)
    assert row is not None
    assert (row.reason, posthorn.network.received) == (Reason.PAYLOAD_EXPUNGED, [])


def test_an_attempt_in_flight_is_the_last(posthorn: Installation) -> None:
    """Expunged while the retry is on the wire: it is recorded as usual, and the one after it is not made."""
    key = _published(posthorn, 500)
    (message,) = posthorn.take("Retry1MinQueue")
    posthorn.clock.pass_seconds(message.delay)
    fails = answers(500)

    def expunges(received: Any) -> Any:
        assert _expunge(posthorn, key.event_id).status == 200
        return fails(received)

    posthorn.network.receivers[HOST] = expunges
    assert posthorn.deliver([message]) == set()
    row = posthorn.row(key)
    assert row is not None
    assert (row.status, row.attempt) == (Status.RETRYING, 2)
    (following,) = posthorn.take("Retry5MinQueue")
    posthorn.clock.pass_seconds(following.delay)

    assert posthorn.deliver([following]) == set()

    row = posthorn.row(key)
    assert row is not None
    assert (row.status, row.reason, row.attempt) == (Status.FAILED, Reason.PAYLOAD_EXPUNGED, 2)
    assert [MARK.encode() in one.body for one in posthorn.network.received] == [True, True]


def test_an_event_that_was_not_dispatched_is_sent_once(posthorn: Installation) -> None:
    """As documented: its stream record has the payload, so its first attempt is made; its retry is not."""
    webhook = posthorn.register(HOST)
    posthorn.network.receivers[HOST] = answers(500)
    key = DeliveryKey(webhook["id"], posthorn.publish(data=DATA))
    records = posthorn.stream()
    _expunge(posthorn, key.event_id)

    assert posthorn.dispatch(records) == set()
    assert posthorn.deliver(posthorn.take("Retry1MinQueue")) == set()

    row = posthorn.row(key)
    assert row is not None
    assert (row.reason, len(posthorn.network.received)) == (Reason.PAYLOAD_EXPUNGED, 1)
    assert MARK.encode() in posthorn.network.received[0].body


def test_neither_replay_nor_retry_now(posthorn: Installation) -> None:
    """Both are refused with the same reason, change nothing and send no message."""
    settled, failing = _published(posthorn, 404), _published(posthorn, 500)
    posthorn.take("Retry1MinQueue")
    for key, operation in ((settled, "replay"), (failing, "retry-now")):
        _expunge(posthorn, key.event_id)
        before = posthorn.row(key)

        reply = posthorn.call("POST", f"{_delivery(key)}/{operation}")

        assert (reply.status, reply.body["code"]) == (409, "payload_expunged")
        assert posthorn.row(key) == before
    assert [posthorn.waiting(queue) for queue in ("DeliverQueue", "Retry1MinQueue")] == [[], []]


def test_a_bulk_replay_skips_it(posthorn: Installation) -> None:
    """The job counts it as skipped and restarts the others."""
    replays = replaying(posthorn)
    posthorn.network.receivers[HOST] = answers(404)
    expunged, other = posthorn.publish(data=DATA), posthorn.publish()
    posthorn.dispatch()
    _expunge(posthorn, expunged)
    posthorn.clock.pass_seconds(60)

    replay_id = replays.start()
    replays.run()

    replays.events = [expunged, other]
    assert replays.generations() == {expunged: 1, other: 2}
    assert replays.get(replay_id)["counts"] == {"matched": 2, "replayed": 1, "skipped": 1}
    assert [message.task["event"] for message in posthorn.waiting("DeliverQueue")] == [other]


def test_a_repeated_batch_does_not_bring_it_back(posthorn: Installation, monkeypatch: Any) -> None:
    """The first request died before it was done, so its repetition writes again: what was expunged stays so."""
    body = {"events": [{"event": "CONTACT_CREATED", "data": DATA} for _ in range(3)]}
    headers = {"idempotency-key": "batch"}
    with monkeypatch.context() as broken:
        broken.setattr(type(posthorn.services.idempotency), "finish", _dies)
        with pytest.raises(KeyboardInterrupt):
            posthorn.call("POST", "/v1/events", body, headers=headers)
    ids = [one["id"] for one in posthorn.call("GET", "/v1/events").body["events"]]
    _expunge(posthorn, ids[1])

    repeated = posthorn.call("POST", "/v1/events", body, headers=headers)

    assert sorted(one["id"] for one in repeated.body["events"]) == sorted(ids)
    shown = [posthorn.call("GET", f"/v1/events/{one}").body["event"]["data"] for one in ids]
    assert shown == [DATA, None, DATA]


def _dies(*_: object) -> None:
    raise KeyboardInterrupt


def test_a_test_event_that_was_expunged_answers_its_repetition(posthorn: Installation) -> None:
    """The repetition names the event of the first request and writes nothing."""
    path = f"/v1/webhooks/{posthorn.register(HOST)['id']}/test"
    headers = {"idempotency-key": "test"}
    first = posthorn.call("POST", path, {"data": DATA}, headers=headers)
    _expunge(posthorn, first.body["event"]["id"])

    repeated = posthorn.call("POST", path, {"data": DATA}, headers=headers)

    assert repeated.body == first.body
    assert MARK not in posthorn.everything_stored()


def test_the_event_of_an_email(posthorn: Installation) -> None:
    """It is found among the configuration sets of the workspace, and only there."""
    posthorn.names["yourapp.com"] = ("93.184.215.14",)
    sets = [
        posthorn.call("POST", SETS, {"name": name}).body["config_set_id"] for name in ("other", "production")
    ]
    destinations = f"{SETS}/{sets[1]}/event-destinations"
    made = posthorn.call("POST", destinations, destination("yourapp.com")).body["destination_id"]
    posthorn.network.receivers["yourapp.com"] = answers(500)
    event_id = posthorn.call("POST", f"{destinations}/{made}/test").body["event"]["id"]
    posthorn.dispatch()
    _, foreign = posthorn.new_workspace()
    delivery = f"{destinations}/{made}/deliveries/{event_id}"
    assert posthorn.call("GET", delivery).body["delivery"]["request_body"]

    assert _expunge(posthorn, event_id, key=foreign).status == 404
    assert _expunge(posthorn, event_id).status == 200
    assert _expunge(posthorn, event_id).status == 200

    assert posthorn.call("GET", delivery).body["delivery"]["request_body"] is None
    assert posthorn.deliver(posthorn.take("Retry1MinQueue")) == set()
    row = posthorn.row(DeliveryKey(made, event_id))
    assert row is not None
    assert row.reason is Reason.PAYLOAD_EXPUNGED
