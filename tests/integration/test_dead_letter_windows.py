"""`posthorn dead-letters`: letters that stand for stream records are dispatched again by their windows of time."""

from __future__ import annotations

import json
from collections import Counter
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any
from unittest import mock

import pytest

from posthorn.domain.clock import rfc3339
from posthorn.domain.ids import EVENT, EVENT_SHARDS, first_id
from posthorn_cli import dead_letters
from tests.operator import go_through, installed, send

if TYPE_CHECKING:
    from collections.abc import Iterator

    from posthorn_cli.installed import Installed
    from tests.installation import Installation


@pytest.fixture
def place(posthorn: Installation) -> Installed:
    return installed(posthorn)


def test_an_event_declared_unreadable_is_dispatched_after_all(
    posthorn: Installation, place: Installed
) -> None:
    """A record that was declared unreadable by mistake is queued for its endpoints."""
    webhook = posthorn.register()
    event_id = posthorn.publish()
    (record,) = posthorn.stream()
    image = record["dynamodb"]["NewImage"]
    broken = {**record, "dynamodb": {**record["dynamodb"], "NewImage": {**image, "v": {"N": "99"}}}}
    posthorn.dispatch([broken])

    handled, said = go_through(place, "dispatch", move=True)

    assert handled == dead_letters.QueueCounts(found=1, moved=1)
    assert event_id in said[0]
    assert "version 99" in said[0]
    assert [message.group for message in posthorn.waiting("DeliverQueue")] == [webhook["id"]]


def _send_batch_letter(posthorn: Installation, arrived: str) -> None:
    """Send a dead letter as Lambda writes it when a mapping gives up on a batch."""
    letter = {
        "requestContext": {"condition": "RetryAttemptsExhausted", "approximateInvokeCount": 21},
        "responseContext": {"statusCode": 200},
        "version": "1.0",
        "timestamp": arrived,
        "DDBStreamBatchInfo": {
            "shardId": "shardId-1",
            "startSequenceNumber": "100",
            "endSequenceNumber": "200",
            "approximateArrivalOfFirstRecord": arrived,
            "approximateArrivalOfLastRecord": arrived,
            "batchSize": 2,
            "streamArn": "arn:aws:dynamodb:us-east-1:123456789012:table/t/stream/1",
        },
    }
    send(posthorn, "DispatchDeadLetterQueue", json.dumps(letter))


def test_a_batch_that_the_mapping_gave_up_on_is_found_by_its_time(
    posthorn: Installation, place: Installed
) -> None:
    """Lambda tells only when the records came; that window is dispatched again, and named for the operator."""
    webhook = posthorn.register()
    event_id = posthorn.publish()
    arrived = rfc3339(posthorn.clock())
    _send_batch_letter(posthorn, arrived)

    _, said = go_through(place, "dispatch")
    handled, _ = go_through(place, "dispatch", move=True)

    assert "2 records, 100 to 200 of shardId-1" in said[0]
    assert "posthorn redispatch --since 2023-04-16T15:40:00Z --until 2023-04-16T15:46:00Z" in said[0]
    assert "RetryAttemptsExhausted" in said[0]
    assert handled == dead_letters.QueueCounts(found=1, moved=1)
    (message,) = posthorn.waiting("DeliverQueue")
    assert (message.group, message.task["event"]) == (webhook["id"], event_id)


@contextmanager
def _counted_queries(place: Installed) -> Iterator[list[str]]:
    """Collect the tables that are queried."""
    tables: list[str] = []

    def query(*, params: Any, **_: Any) -> None:
        tables.append(json.loads(params["body"])["TableName"])

    events: Any = place.dynamodb.meta.events
    events.register("before-call.dynamodb.Query", query)
    try:
        yield tables
    finally:
        events.unregister("before-call.dynamodb.Query", query)


def test_letters_of_one_outage_cost_one_redispatch(posthorn: Installation, place: Installed) -> None:
    """20 batches that an outage killed one after the other are one window, which is read once: 900 queries."""
    for _ in range(100):
        _, key = posthorn.new_workspace()
        wanted = {"url": "https://hooks.example.com/", "events": ["*"]}
        posthorn.call("POST", "/v1/webhooks", wanted, key=key)
    posthorn.call("POST", "/v1/events", {"event": "CONTACT_CREATED", "data": {}}, key=key)
    for _ in range(20):
        _send_batch_letter(posthorn, rfc3339(posthorn.clock()))
        posthorn.clock.pass_seconds(60)

    with _counted_queries(place) as queried:
        handled, said = go_through(place, "dispatch", move=True)

    assert handled == dead_letters.QueueCounts(found=20, moved=20)
    assert len(said) == 20
    assert posthorn.waiting("DispatchDeadLetterQueue") == []
    assert len(posthorn.waiting("DeliverQueue")) == 1
    assert Counter(queried) == {
        place.output("ConfigTableName"): 100,
        place.output("EventsTableName"): 100 * EVENT_SHARDS,
    }


def test_letters_of_a_window_that_fails_stay(posthorn: Installation, place: Installed) -> None:
    """Two outages, and AWS refuses during the second: the letters of the first are gone, the others visible."""
    posthorn.register()
    arrivals = []
    for _ in range(2):
        event_id = posthorn.publish()
        arrivals.append(posthorn.clock())
        posthorn.clock.pass_seconds(3600)
    for arrived in (arrivals[1], arrivals[0], arrivals[1], arrivals[0]):  # SQS keeps no order
        _send_batch_letter(posthorn, rfc3339(arrived))

    def refuse(*, params: Any, **_: Any) -> None:
        lowest = json.loads(params["body"])["ExpressionAttributeValues"].get(":lowest", {"S": ""})["S"]
        if lowest > first_id(EVENT, now_ms=arrivals[0]):
            raise KeyboardInterrupt

    events: Any = place.dynamodb.meta.events
    events.register("before-call.dynamodb.Query", refuse)
    with pytest.raises(KeyboardInterrupt):
        go_through(place, "dispatch", move=True)
    events.unregister("before-call.dynamodb.Query", refuse)
    first = posthorn.waiting("DeliverQueue")
    again, said = go_through(place, "dispatch", move=True)

    assert [message.task["event"] != event_id for message in first] == [True]
    assert again == dead_letters.QueueCounts(found=2, moved=2)
    assert len(said) == 2
    assert [message.task["event"] for message in posthorn.take("DeliverQueue")[1:]] == [event_id]
    assert posthorn.waiting("DispatchDeadLetterQueue") == []


def test_letters_of_deliveries_that_could_not_be_queued_stay(
    posthorn: Installation, place: Installed
) -> None:
    """SQS does not accept a message, so the letter that stands for it is kept and says so."""
    posthorn.register()
    posthorn.publish()
    _send_batch_letter(posthorn, rfc3339(posthorn.clock()))

    answer = mock.Mock(status_code=403), {"Error": {"Code": "AccessDenied"}, "ResponseMetadata": {}}
    events: Any = place.sqs.meta.events
    events.register("before-call.sqs.SendMessageBatch", lambda **_: answer)
    handled, said = go_through(place, "dispatch", move=True)

    assert handled == dead_letters.QueueCounts(found=1, moved=0)
    assert "kept" in said[0]
    assert "not all of its deliveries could be queued" in said[0]
    assert len(posthorn.waiting("DispatchDeadLetterQueue")) == 1
