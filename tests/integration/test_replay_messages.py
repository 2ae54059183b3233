"""Messages of bulk replays: lost, delayed by an outage, unreadable, or without a job."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any
from unittest import mock

import pytest
from botocore.client import BaseClient
from botocore.exceptions import ClientError

from posthorn.aws import clients
from posthorn.delivery import bulk_replay
from posthorn.delivery.bulk_replay import STALLED_MS
from tests.replays import VISIBILITY, replaying

if TYPE_CHECKING:
    from tests.installation import Installation


def test_a_repeated_request_makes_one_job(posthorn: Installation) -> None:
    """One key makes one job, even after its first message was lost, and however far it has come."""
    replays = replaying(posthorn)
    replays.settle(2)
    headers = {"idempotency-key": "one"}
    with mock.patch.object(
        type(posthorn.services.idempotency), "finish"
    ):  # the first request crashes before its end
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


def test_a_job_that_could_not_be_queued_does_not_exist(posthorn: Installation) -> None:
    """Without a key it could never be repeated, so it stays dead; with a key the retry revives it."""
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
def test_reading_a_job_wakes_it_if_its_message_was_lost(posthorn: Installation, look: str) -> None:
    """It is woken after a long standstill, once only; a finished job is left alone."""
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


def test_an_outage_delays_a_step(posthorn: Installation, monkeypatch: pytest.MonkeyPatch) -> None:
    """If an AWS call fails, the message is reported as failed and processed when it comes again."""
    monkeypatch.setattr(bulk_replay, "PAGE", 1)
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
def test_a_malformed_message_is_dead_lettered(posthorn: Installation, body: str) -> None:
    """A malformed message becomes a dead letter with its reason and does not come again."""
    assert posthorn.replayer.replay([{"messageId": "1", "body": body}]) == set()
    (dead_letter,) = posthorn.waiting("ReplayDeadLetterQueue")
    assert json.loads(dead_letter.body)["body"] == body
    assert json.loads(dead_letter.body)["reason"]


def test_a_message_without_a_job_is_dropped(posthorn: Installation) -> None:
    """Its job has expired, or its request failed before the job existed."""
    replays = replaying(posthorn)
    replay_id = replays.start()
    job = posthorn.services.replays.get(replays.endpoint_id, replay_id)
    assert job is not None
    posthorn.services.replays.remove(job)
    assert posthorn.replay(posthorn.take("ReplayQueue")) == set()
    assert posthorn.waiting("ReplayQueue") == []


def test_rows_that_cannot_be_read(posthorn: Installation) -> None:
    """A job of a later version waits for that version; so does a delivery of a later version."""
    replays = replaying(posthorn)
    event_id, *_ = replays.settle(2)
    replay_id = replays.start()
    later: Any = {
        "UpdateExpression": "SET v = :later",
        "ExpressionAttributeValues": {":later": {"N": "2"}},
    }
    dynamodb = clients.client("dynamodb")
    key = {"pk": {"S": replays.endpoint_id}, "sk": {"S": event_id}}
    dynamodb.update_item(TableName=posthorn.tables["DeliveriesTable"], Key=key, **later)
    replays.run()
    assert replays.get(replay_id)["counts"] == {"matched": 2, "replayed": 1, "skipped": 1}

    unreadable = replays.start()
    key = {"pk": {"S": replays.endpoint_id}, "sk": {"S": f"replay#{unreadable}"}}
    dynamodb.update_item(TableName=posthorn.tables["ConfigTable"], Key=key, **later)
    (message,) = posthorn.take("ReplayQueue")
    assert posthorn.replay([message]) == {message.id}
