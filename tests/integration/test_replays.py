"""`…/replays`: bulk replays as their callers see them, for webhooks and for event destinations."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any
from unittest import mock

import pytest
from botocore.client import BaseClient
from botocore.exceptions import ClientError

from posthorn import aws, replay
from posthorn.clock import rfc3339_ms
from posthorn.ids import REPLAY, is_id, made_at, new_id
from posthorn.models import Status
from posthorn.replay import PAUSE, STALLED_MS
from tests.installation import ALL_SCOPES, START_MS
from tests.network import answers
from tests.replays import SINCE_MS, VISIBILITY, replaying

if TYPE_CHECKING:
    from tests.installation import Installation, Reply

SETS = "/api/v1/partner/email/configuration-sets"


def _destination(posthorn: Installation) -> str:
    """Make an event destination and return its path."""
    made = posthorn.call("POST", SETS, {"name": posthorn.new_id()}).body
    path = f"{SETS}/{made['config_set_id']}/event-destinations"
    wanted = {
        "name": "one",
        "destination_type": "WEBHOOK",
        "webhook_url": "https://hooks.example.com/mail",
        "webhook_secret": "a secret of more than 24 bytes",
        "matching_event_types": ["bounce"],
    }
    reply = posthorn.call("POST", path, wanted)
    assert reply.status == 201, reply
    return f"{path}/{reply.body['destination_id']}"


def test_what_failed_is_sent_again_and_nothing_else(posthorn: Installation) -> None:
    """Broken, repaired, replayed: each failed event arrives once more under its own id, delivered ones do not."""
    replays = replaying(posthorn)
    posthorn.network.receivers["hooks.example.com"] = answers(200)
    delivered = posthorn.publish()
    posthorn.dispatch()
    posthorn.network.receivers["hooks.example.com"] = answers(400)
    failed = [posthorn.publish(data={"n": number}) for number in range(3)]
    posthorn.dispatch()
    posthorn.network.receivers["hooks.example.com"] = answers(200)
    posthorn.network.received.clear()
    posthorn.clock.pass_seconds(60)

    replay_id = replays.start()
    replays.run()
    assert posthorn.deliver(posthorn.take("DeliverQueue")) == set()

    assert sorted(one.id for one in posthorn.network.received) == sorted(failed)
    assert {one.headers["webhook-timestamp"] for one in posthorn.network.received} == {
        str(posthorn.clock() // 1000)
    }
    replays.events = [delivered, *failed]
    rows = replays.rows()
    assert {row.status for row in rows.values()} == {Status.DELIVERED}
    assert replays.generations() == {delivered: 1, **dict.fromkeys(failed, 2)}
    assert {rows[event_id].replay for event_id in failed} == {replay_id}
    assert replays.get(replay_id)["counts"] == {"matched": 3, "replayed": 3, "skipped": 0}


def test_a_replayed_delivery_that_fails_is_retried(posthorn: Installation) -> None:
    """It enters the schedule anew, at its beginning."""
    replays = replaying(posthorn)
    posthorn.network.receivers["hooks.example.com"] = answers(400)
    event_id = posthorn.publish()
    posthorn.dispatch()
    posthorn.clock.pass_seconds(60)
    posthorn.network.receivers["hooks.example.com"] = answers(500)
    replays.start()
    replays.run()
    posthorn.deliver(posthorn.take("DeliverQueue"))

    (retry,) = posthorn.waiting("Retry1MinQueue")
    assert (retry.task["event"], retry.task["generation"], retry.task["attempt"]) == (event_id, 2, 2)


def test_a_job_from_its_beginning_to_its_end(posthorn: Installation) -> None:
    """It is accepted at once, tells how far it is, and what it did."""
    replays = replaying(posthorn)
    replays.settle(150)
    reply = replays.post()
    assert reply.status == 202
    made = reply.body["replay"]
    assert is_id(made["id"], REPLAY)
    assert made == {
        "id": made["id"],
        "state": "queued",
        "dryRun": False,
        "since": rfc3339_ms(SINCE_MS),
        "until": rfc3339_ms(START_MS),
        "status": "failed",
        "counts": {"matched": 0, "replayed": 0, "skipped": 0},
        "progress": {"position": rfc3339_ms(SINCE_MS), "fraction": 0},
        "createdAt": "2023-04-16T15:45:00Z",
        "updatedAt": rfc3339_ms(START_MS),
    }

    replays.run(steps=2)
    running = replays.get(made["id"])
    assert running["state"] == "running"
    assert running["counts"] == {"matched": 150, "replayed": 100, "skipped": 0}
    assert "finishedAt" not in running
    (message,) = posthorn.waiting("ReplayQueue")
    assert message.delay == PAUSE
    assert message.group == replays.endpoint_id

    replays.run()
    done = replays.get(made["id"])
    assert (done["state"], done["finishedAt"]) == ("done", rfc3339_ms(posthorn.clock()))
    assert done["progress"] == {"position": rfc3339_ms(START_MS), "fraction": 1}
    assert done["counts"] == {"matched": 150, "replayed": 150, "skipped": 0}


def test_progress_is_where_in_the_window_it_is(posthorn: Installation) -> None:
    """The position is the time of the last event looked at, the fraction its place between since and until."""
    replays = replaying(posthorn)
    replays.settle(101)
    replay_id = replays.start(until=rfc3339_ms(SINCE_MS + 200 * 700))
    replays.run(steps=1)
    progress = replays.get(replay_id)["progress"]
    assert progress == {"position": rfc3339_ms(made_at(replays.events[99])), "fraction": 99 / 200}


def test_the_window_holds_its_beginning_and_not_its_end(posthorn: Installation) -> None:
    """An event of the millisecond `since` is meant, one of `until` is not."""
    replays = replaying(posthorn)
    events = replays.settle(5)
    since, until = (rfc3339_ms(made_at(events[at])) for at in (1, 3))
    for wanted in ("failed", "all"):
        replays.start(since=since, until=until, status=wanted, dryRun=True)
    replays.start(since=since, until=until)
    replays.run()
    assert list(replays.generations().values()) == [1, 2, 2, 1, 1]
    listed = posthorn.call("GET", replays.path).body["replays"]
    assert [one["counts"]["matched"] for one in listed] == [2, 2, 2]


@pytest.mark.parametrize(
    ("wanted", "again"), [("failed", {Status.FAILED}), ("all", {Status.FAILED, Status.DELIVERED})]
)
def test_what_is_asked_for_and_what_is_open(posthorn: Installation, wanted: str, again: set[Status]) -> None:
    """Delivered ones are replayed for `all` only; queued and retrying ones and tests never are; a dry run agrees."""
    replays = replaying(posthorn)
    before = {event_id: status for status in Status for event_id in replays.settle(3, status)}
    tests = replays.settle(2, is_test=True)
    dry = replays.start(status=wanted, dryRun=True)
    replays.run()
    assert set(replays.generations().values()) == {1}
    assert posthorn.waiting("DeliverQueue") == []

    replay_id = replays.start(status=wanted)
    replays.run()

    generations = replays.generations()
    assert {event_id for event_id, generation in generations.items() if generation == 2} == {
        event_id for event_id, status in before.items() if status in again
    }
    assert [generations[event_id] for event_id in tests] == [1, 1]
    count = 3 * len(again)
    assert replays.get(dry)["counts"] == {"matched": count, "replayed": 0, "skipped": 0}
    assert replays.get(replay_id)["counts"] == {"matched": count, "replayed": count, "skipped": 0}


def test_replaying_twice(posthorn: Installation) -> None:
    """A second job begins anew what failed again after the first, and leaves alone what is on its way."""
    replays = replaying(posthorn)
    replays.settle(2)
    replays.start()
    replays.run()
    second = replays.start()
    replays.run()
    assert replays.get(second)["counts"]["matched"] == 0
    posthorn.network.receivers["hooks.example.com"] = answers(400)
    posthorn.deliver(posthorn.take("DeliverQueue"))
    # no event was ever accepted for these rows, so they failed again
    third = replays.start()
    replays.run()
    assert replays.get(third)["counts"]["replayed"] == 2
    assert set(replays.generations().values()) == {3}


def test_a_disabled_endpoint(posthorn: Installation) -> None:
    """What would only fail is refused, and counting is not; the refused key may be used again."""
    replays = replaying(posthorn)
    replays.settle(2)
    webhook = f"/v1/webhooks/{replays.endpoint_id}"
    posthorn.call("PUT", webhook, {"enabled": False})
    headers = {"idempotency-key": "one"}
    refused = replays.post(headers=headers)
    assert (refused.status, refused.body["code"]) == (409, "endpoint_disabled")
    dry = replays.start(dryRun=True)
    replays.run()
    assert replays.get(dry)["counts"]["matched"] == 2
    posthorn.call("PUT", webhook, {"enabled": True})
    assert replays.post(headers=headers).status == 202


def test_an_endpoint_that_is_disabled_meanwhile(posthorn: Installation) -> None:
    """The job stops, says why, and counts what it did not do."""
    replays = replaying(posthorn)
    replays.settle(150)
    replay_id = replays.start()
    replays.run(steps=2)
    posthorn.call("PUT", f"/v1/webhooks/{replays.endpoint_id}", {"enabled": False})
    replays.run()
    shown = replays.get(replay_id)
    assert (shown["state"], shown["reason"]) == ("stopped", "endpoint_disabled")
    assert shown["counts"] == {"matched": 150, "replayed": 100, "skipped": 50}
    assert "finishedAt" in shown
    assert posthorn.waiting("ReplayQueue") == []


def test_an_endpoint_that_is_deleted_meanwhile(posthorn: Installation) -> None:
    """Its job stops, and nothing more is begun."""
    replays = replaying(posthorn)
    replays.settle(3)
    replay_id = replays.start()
    replays.run(steps=1)
    posthorn.call("DELETE", f"/v1/webhooks/{replays.endpoint_id}")
    replays.run()
    job = posthorn.office.replays.get(replays.endpoint_id, replay_id)
    assert job is not None
    assert (job.state, job.reason) == ("stopped", "endpoint_deleted")
    assert set(replays.generations().values()) == {1}


def test_cancelling(posthorn: Installation) -> None:
    """A job is cancelled between two pages; cancelling again changes nothing, and what is over cannot be."""
    replays = replaying(posthorn)
    replays.settle(250)
    replay_id = replays.start()
    replays.run(steps=2)
    cancelled = posthorn.call("POST", f"{replays.path}/{replay_id}/cancel")
    assert (cancelled.status, cancelled.body["replay"]["state"]) == (200, "cancelled")
    replays.run()
    again = posthorn.call("POST", f"{replays.path}/{replay_id}/cancel")
    assert (again.status, again.body["replay"]) == (200, replays.get(replay_id))
    assert again.body["replay"]["counts"] == {"matched": 200, "replayed": 100, "skipped": 100}
    assert list(replays.generations().values()).count(2) == 100

    done = replays.start(dryRun=True)
    replays.run()
    refused = posthorn.call("POST", f"{replays.path}/{done}/cancel")
    assert (refused.status, refused.body["code"]) == (409, "replay_finished")


def test_the_list_is_newest_first(posthorn: Installation) -> None:
    """Pages follow each other, and each job is on one of them."""
    replays = replaying(posthorn)
    made = []
    for _ in range(3):
        posthorn.clock.pass_seconds(1)
        made.append(replays.start(dryRun=True))
    first = posthorn.call("GET", f"{replays.path}?limit=2").body
    second = posthorn.call("GET", f"{replays.path}?limit=2&cursor={first['nextCursor']}").body
    assert [one["id"] for one in first["replays"] + second["replays"]] == made[::-1]
    assert "nextCursor" not in second


def test_nobody_sees_the_replays_of_others(posthorn: Installation) -> None:
    """Another workspace's, another endpoint's and an unknown job are the same 404, on every route."""
    replays, other = replaying(posthorn), replaying(posthorn)
    replay_id = replays.start()
    _, stranger = posthorn.new_workspace()
    unknown = new_id(REPLAY, now_ms=START_MS, entropy=bytes(10))
    body = {"since": "2023-04-16T15:00:00Z"}

    def found(method: str, path: str, key: str | None = None) -> Reply:
        return posthorn.call(method, path, body if method == "POST" else None, key=key)

    for method, path in (
        ("GET", replays.path),
        ("POST", replays.path),
        ("GET", f"{replays.path}/{replay_id}"),
        ("POST", f"{replays.path}/{replay_id}/cancel"),
    ):
        missing = found(
            method, path.replace(replays.endpoint_id, new_id("wh", now_ms=1, entropy=bytes(10))), stranger
        )
        foreign = found(method, path, stranger)
        assert (foreign.status, foreign.body) == (missing.status, missing.body) == (404, missing.body)
    for method, tail in (("GET", ""), ("POST", "/cancel")):
        expected = found(method, f"{replays.path}/{unknown}{tail}")
        assert expected.status == 404
        for path in (f"{other.path}/{replay_id}{tail}", f"{replays.path}/not-an-id{tail}"):
            assert found(method, path) == expected
    assert replays.get(replay_id)["state"] == "queued"


@pytest.mark.parametrize(
    ("body", "status", "pointer"),
    [
        ({}, 422, "/since"),
        ({"since": "yesterday"}, 422, "/since"),
        ({"since": "2023-02-30T00:00:00Z"}, 422, "/since"),
        ({"since": "2023-04-16T15:45:01Z"}, 422, "/since"),
        ({"since": "2023-04-16T15:00:00Z", "until": "2023-04-16T15:00:00Z"}, 422, "/until"),
        ({"since": "2023-04-16T15:00:00Z", "until": 5}, 422, "/until"),
        ({"since": "2023-04-16T15:00:00Z", "status": "queued"}, 422, "/status"),
        ({"since": "2023-04-16T15:00:00Z", "dryRun": "yes"}, 422, "/dryRun"),
        ({"since": "2023-04-16T15:00:00Z", "dry_run": True}, 422, "/dry_run"),
    ],
)
def test_what_is_not_a_replay(posthorn: Installation, body: Any, status: int, pointer: str) -> None:
    """Every complaint points at its cause, and nothing is begun."""
    replays = replaying(posthorn)
    reply = posthorn.call("POST", replays.path, body)
    assert (reply.status, [one["pointer"] for one in reply.body["errors"]]) == (status, [pointer])
    assert posthorn.waiting("ReplayQueue") == []
    assert posthorn.call("GET", replays.path).body == {"replays": []}


def test_a_window_may_be_larger_than_time(posthorn: Installation) -> None:
    """What is before 1970 begins there, and what lies ahead ends now."""
    replays = replaying(posthorn)
    replays.settle(2)
    reply = replays.post(since="0001-01-01T00:00:00Z", until="9999-12-31T23:59:59Z")
    assert reply.body["replay"]["since"] == "1970-01-01T00:00:00.000Z"
    assert reply.body["replay"]["until"] == rfc3339_ms(START_MS)
    replays.run()
    assert replays.get(reply.body["replay"]["id"])["counts"]["replayed"] == 2


def test_a_repeated_request_makes_one_job(posthorn: Installation) -> None:
    """Under one key there is one job, also after its first message was lost, and however far it is."""
    replays = replaying(posthorn)
    replays.settle(2)
    headers = {"idempotency-key": "one"}
    with mock.patch.object(
        type(posthorn.office.idempotency), "finish"
    ):  # the first request dies before its end
        first = replays.post(headers=headers)
    assert len(posthorn.take("ReplayQueue")) == 1  # and its message is lost
    second = replays.post(headers=headers)
    assert second.body == first.body
    assert len(posthorn.waiting("ReplayQueue")) == 1
    replays.run()
    third = replays.post(headers=headers)
    assert third.body["replay"] == replays.get(first.body["replay"]["id"])
    assert posthorn.waiting("ReplayQueue") == []
    assert replays.post(headers=headers, status="all").status == 409
    assert set(replays.generations().values()) == {2}


def test_a_job_that_could_not_be_queued_is_none(posthorn: Installation) -> None:
    """Without a key nobody could ask for it again, so it does not come to life later; with one it does, on asking."""
    replays = replaying(posthorn)
    with _throttled("SendMessage"):
        assert replays.post().status == 503
        assert replays.post(headers={"idempotency-key": "one"}).status == 503
    (listed,) = posthorn.call("GET", replays.path).body["replays"]
    assert replays.post(headers={"idempotency-key": "one"}).body["replay"]["id"] == listed["id"]
    assert len(posthorn.waiting("ReplayQueue")) == 1


def _throttled(*operations: str) -> Any:
    plain = BaseClient._make_api_call  # type: ignore[attr-defined]  # not in the stubs

    def call(self: BaseClient, name: str, parameters: Any) -> Any:
        if name in operations:
            refusal: Any = {
                "Error": {"Code": "ThrottlingException"},
                "ResponseMetadata": {"HTTPStatusCode": 400},
            }
            raise ClientError(refusal, name)
        return plain(self, name, parameters)

    return mock.patch.object(BaseClient, "_make_api_call", call)


@pytest.mark.parametrize("look", ["get", "list"])
def test_whoever_looks_wakes_a_job_whose_message_is_lost(posthorn: Installation, look: str) -> None:
    """Once it has stood still for long, and once only; a job that is over is left alone."""
    replays = replaying(posthorn)
    replays.settle(3)
    replay_id = replays.start()
    posthorn.take("ReplayQueue")
    path = f"{replays.path}/{replay_id}" if look == "get" else replays.path
    posthorn.clock.pass_seconds(STALLED_MS / 1000 - 1)
    posthorn.call("GET", path)
    assert posthorn.waiting("ReplayQueue") == []
    posthorn.clock.pass_seconds(1)
    with _throttled("SendMessage"):
        assert posthorn.call("GET", path).status == 200
    posthorn.clock.pass_seconds(STALLED_MS / 1000)
    for _ in range(2):
        posthorn.call("GET", path)
    assert [message.task["step"] for message in posthorn.waiting("ReplayQueue")] == [1]
    replays.run()
    assert replays.get(replay_id)["state"] == "done"
    posthorn.clock.pass_seconds(STALLED_MS / 1000)
    posthorn.call("GET", path)
    assert posthorn.waiting("ReplayQueue") == []


def test_an_outage_puts_a_step_off(posthorn: Installation, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever AWS does not do is reported as failed, and done when the message comes again."""
    monkeypatch.setattr(replay, "PAGE", 1)
    replays = replaying(posthorn)
    replays.settle(2)
    replay_id = replays.start()
    replays.run(steps=1)
    (message,) = posthorn.take("ReplayQueue")
    with mock.patch("time.sleep"):
        for operation in ("GetItem", "BatchGetItem", "PutItem", "SendMessageBatch", "Query", "SendMessage"):
            with _throttled(operation):
                assert posthorn.replay([message]) == {message.id}, operation
            posthorn.clock.pass_seconds(VISIBILITY)
    assert posthorn.waiting("ReplayQueue") == []
    assert posthorn.replay([message]) == set()
    replays.run()
    assert set(replays.generations().values()) == {2}
    assert replays.get(replay_id)["counts"] == {"matched": 2, "replayed": 2, "skipped": 0}


@pytest.mark.parametrize("body", ["x", '{"v":1}', '{"v":2,"endpoint":"wh_1","replay":"rpl_1","step":1}'])
def test_what_is_no_message_is_parked(posthorn: Installation, body: str) -> None:
    """It is kept with the reason, and does not come again."""
    assert posthorn.replayer.replay([{"messageId": "1", "body": body}]) == set()
    (parked,) = posthorn.waiting("ReplayDeadLetterQueue")
    assert json.loads(parked.body)["body"] == body
    assert json.loads(parked.body)["reason"]


def test_a_message_without_a_job_is_dropped(posthorn: Installation) -> None:
    """Its job has expired, or was never more than a request that failed."""
    replays = replaying(posthorn)
    replay_id = replays.start()
    job = posthorn.office.replays.get(replays.endpoint_id, replay_id)
    assert job is not None
    posthorn.office.replays.remove(job)
    assert posthorn.replay(posthorn.take("ReplayQueue")) == set()
    assert posthorn.waiting("ReplayQueue") == []


def test_rows_that_cannot_be_read(posthorn: Installation) -> None:
    """A later version's job waits for that version; a later version's delivery is left to it."""
    replays = replaying(posthorn)
    event_id, *_ = replays.settle(2)
    replay_id = replays.start()
    later: Any = {
        "UpdateExpression": "SET v = :later",
        "ExpressionAttributeValues": {":later": {"N": "2"}},
    }
    dynamodb = aws.client("dynamodb")
    key = {"pk": {"S": replays.endpoint_id}, "sk": {"S": event_id}}
    dynamodb.update_item(TableName=posthorn.tables["DeliveriesTable"], Key=key, **later)
    replays.run()
    assert replays.get(replay_id)["counts"] == {"matched": 2, "replayed": 1, "skipped": 1}

    unreadable = replays.start()
    key = {"pk": {"S": replays.endpoint_id}, "sk": {"S": f"replay#{unreadable}"}}
    dynamodb.update_item(TableName=posthorn.tables["ConfigTable"], Key=key, **later)
    (message,) = posthorn.take("ReplayQueue")
    assert posthorn.replay([message]) == {message.id}


def test_an_event_destination_has_the_same_in_its_own_spelling(posthorn: Installation) -> None:
    """Partners write and read snake_case, under the scope of partners."""
    path = f"{_destination(posthorn)}/replays"
    body = {"since": "2023-04-16T15:00:00Z", "dry_run": True}
    reply = posthorn.call("POST", path, body, key=posthorn.new_key("partner"))
    assert reply.status == 202, reply
    made = reply.body["replay"]
    assert (made["dry_run"], made["created_at"]) == (True, "2023-04-16T15:45:00Z")
    posthorn.replay(posthorn.take("ReplayQueue"))
    done = posthorn.call("GET", f"{path}/{made['id']}").body["replay"]
    assert (done["state"], done["finished_at"]) == ("done", rfc3339_ms(START_MS))
    posthorn.call("POST", path, body)
    listed = posthorn.call("GET", f"{path}?limit=1").body
    assert listed.keys() == {"replays", "next_cursor"}
    assert posthorn.call("POST", path, {**body, "dryRun": True}).status == 422
    assert (
        posthorn.call("POST", f"{path}/{listed['replays'][0]['id']}/cancel").body["replay"]["state"]
        == "cancelled"
    )
    for scope in ALL_SCOPES:
        status = posthorn.call("GET", path, key=posthorn.new_key(scope)).status
        assert status == (200 if scope == "partner" else 403)


def test_the_row_expires_with_the_deliveries(posthorn: Installation) -> None:
    """A job is kept as long as what it replayed."""
    replays = replaying(posthorn)
    replay_id = replays.start()
    key = {"pk": {"S": replays.endpoint_id}, "sk": {"S": f"replay#{replay_id}"}}
    row = aws.client("dynamodb").get_item(TableName=posthorn.tables["ConfigTable"], Key=key)["Item"]
    assert row["expires_at"] == {"N": str(START_MS // 1000 + 30 * 86_400)}
