"""`/v1/events`: which events are accepted, and how they are stored."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from posthorn.aws import clients
from posthorn.domain.errors import Unavailable
from tests.network import answers

if TYPE_CHECKING:
    from tests.installation import Installation


def _rows(posthorn: Installation) -> list[Any]:
    return clients.client("dynamodb").scan(TableName=posthorn.tables["EventsTable"])["Items"]


def test_one_event_is_accepted_and_can_be_retrieved(posthorn: Installation) -> None:
    """A published event is returned with its data and time, and without deliveries before the stream ran."""
    data = {"contact": {"id": "cont_123456789", "name": "Ünal 😀"}}

    reply = posthorn.call(
        "POST",
        "/v1/events",
        {"event": "contact.created", "created_at": "2023-04-16T17:45:00+02:00", "data": data},
    )

    event = reply.body["event"]
    assert reply.status == 202
    assert event == {"id": event["id"], "event": "contact.created", "created_at": "2023-04-16T15:45:00Z"}
    retrieved = posthorn.call("GET", f"/v1/events/{event['id']}")
    assert retrieved.body == {
        "event": {**event, "isTest": False, "matched": False, "data": data, "deliveries": []}
    }


def test_a_batch_of_a_hundred_is_accepted_in_order(posthorn: Installation) -> None:
    """A batch of 100 gives 100 ids in the order of the events, and 100 rows."""
    events = [{"event": "CONTACT_CREATED", "data": {"n": number}} for number in range(100)]

    reply = posthorn.call("POST", "/v1/events", {"events": events})

    assert reply.status == 202
    ids = [event["id"] for event in reply.body["events"]]
    assert len(set(ids)) == 100
    assert {row["sk"]["S"] for row in _rows(posthorn)} == set(ids)
    for number in (0, 57, 99):
        assert posthorn.call("GET", f"/v1/events/{ids[number]}").body["event"]["data"] == {"n": number}


def test_one_bad_event_in_a_batch_refuses_the_whole_batch(posthorn: Installation) -> None:
    """The whole batch is checked before any of it is accepted, and the error points at the cause."""
    events: list[dict[str, Any]] = [{"event": "CONTACT_CREATED", "data": {}} for _ in range(5)]
    events[3]["event"] = "CONTACT_EXPLODED"

    reply = posthorn.call("POST", "/v1/events", {"events": events})

    assert (reply.status, reply.body["code"]) == (422, "unknown_event_type")
    assert reply.body["errors"][0]["pointer"] == "/events/3/event"
    assert _rows(posthorn) == []


def test_a_repeated_publish_makes_one_event(posthorn: Installation) -> None:
    """The same Idempotency-Key gives the same ids and times, even later."""
    wanted = {"events": [{"event": "CONTACT_CREATED", "data": {"n": n}} for n in range(3)]}
    key = {"idempotency-key": "import-1"}

    first = posthorn.call("POST", "/v1/events", wanted, headers=key)
    posthorn.clock.pass_seconds(600)
    second = posthorn.call("POST", "/v1/events", wanted, headers=key)

    assert first.status == 202
    assert second.body == first.body
    assert len(_rows(posthorn)) == 3


def test_a_publish_that_broke_off_is_completed_by_its_repetition(
    posthorn: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    """If DynamoDB fails after the key was taken, the caller gets 503, and a retry completes the work."""
    wanted = {"event": "CONTACT_CREATED", "data": {"n": 1}}
    key = {"idempotency-key": "import-2"}
    with monkeypatch.context() as broken:

        def fail(*_: object, **__: object) -> None:
            raise Unavailable("put_item", "ProvisionedThroughputExceededException")

        broken.setattr(type(posthorn.services.events), "accept", fail)
        first = posthorn.call("POST", "/v1/events", wanted, headers=key)

    second = posthorn.call("POST", "/v1/events", wanted, headers=key)

    assert (first.status, first.headers["retry-after"]) == (503, "1")
    assert second.status == 202
    assert [row["sk"]["S"] for row in _rows(posthorn)] == [second.body["event"]["id"]]


def test_the_same_key_in_another_workspace_is_another_key(posthorn: Installation) -> None:
    """Two workspaces may use the same idempotency key."""
    wanted = {"event": "CONTACT_CREATED", "data": {}}
    key = {"idempotency-key": "same"}
    _, other = posthorn.new_workspace()

    mine = posthorn.call("POST", "/v1/events", wanted, headers=key)
    theirs = posthorn.call("POST", "/v1/events", wanted, headers=key, key=other)

    assert mine.body["event"]["id"] != theirs.body["event"]["id"]


def test_large_data_is_stored_compressed(posthorn: Installation) -> None:
    """3 KB of ordinary JSON fit into one write unit and are read back unchanged."""
    data = {
        "contacts": [
            {"id": f"cont_{n}", "email": f"contact{n}@example.com", "name": "New Contact"} for n in range(36)
        ]
    }
    event_id = posthorn.publish(data=data)

    (row,) = _rows(posthorn)

    assert len(str(data)) > 2500
    assert len(row["data"]["B"]) < 700
    assert posthorn.call("GET", f"/v1/events/{event_id}").body["event"]["data"] == data


def test_an_event_shows_its_delivery_per_webhook(posthorn: Installation) -> None:
    """Each webhook that matched the event shows its own state and attempts."""
    good, bad = posthorn.register("good.example.com"), posthorn.register("bad.example.com")
    posthorn.register("other.example.com", events=["CONTACT_DELETED"])
    posthorn.network.receivers |= {"good.example.com": answers(204), "bad.example.com": answers(500)}
    event_id = posthorn.publish()
    posthorn.dispatch()

    deliveries = posthorn.call("GET", f"/v1/events/{event_id}").body["event"]["deliveries"]

    attempt = {"attempt": 1, "generation": 1, "startedAt": "2023-04-16T15:45:00.000Z", "latencyMs": 5}
    assert deliveries == [
        {
            "webhookId": good["id"],
            "status": "delivered",
            "attemptCount": 1,
            "attempts": [{**attempt, "status": 204}],
        },
        {
            "webhookId": bad["id"],
            "status": "retrying",
            "attemptCount": 1,
            "nextAttemptAt": "2023-04-16T15:46:00.000Z",
            "attempts": [{**attempt, "status": 500}],
        },
    ]


def test_incomplete_deliveries_are_a_503(posthorn: Installation, monkeypatch: pytest.MonkeyPatch) -> None:
    """If some deliveries cannot be read, the caller gets 503 instead of the rest."""
    from posthorn.stores import batches

    posthorn.register()
    posthorn.network.receivers["hooks.example.com"] = answers(200)
    event_id = posthorn.publish()
    posthorn.dispatch()

    def fail(*_: object) -> None:
        raise Unavailable("batch_get_item", "ProvisionedThroughputExceededException")

    with monkeypatch.context() as broken:
        broken.setattr(batches, "read", fail)
        during = posthorn.call("GET", f"/v1/events/{event_id}")
    after = posthorn.call("GET", f"/v1/events/{event_id}")

    assert during.status == 503
    assert len(after.body["event"]["deliveries"]) == 1


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ("2023-04-16T15:45:00Z", "2023-04-16T15:45:00Z"),
        ("2023-04-16t15:45:00z", "2023-04-16T15:45:00Z"),
        ("2023-04-16T15:45:00.120Z", "2023-04-16T15:45:00.120Z"),
        ("2023-04-16T10:15:00-05:30", "2023-04-16T15:45:00Z"),
    ],
)
def test_times_are_kept_in_utc(posthorn: Installation, given: str, kept: str) -> None:
    """A time with any offset is accepted and stored in UTC, to the millisecond if it has any."""
    event_id = posthorn.publish(created_at=given)

    assert posthorn.call("GET", f"/v1/events/{event_id}").body["event"]["created_at"] == kept
