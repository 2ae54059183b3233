"""`posthorn redispatch` and `posthorn dead-letters`: nothing stays lost that an operator looks for."""

from __future__ import annotations

import json
from collections import Counter
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any
from unittest import mock

import boto3
import pytest

from posthorn.aws import clients
from posthorn.aws.notice_messages import NoticeMessage, write_notice_message
from posthorn.domain.clock import rfc3339
from posthorn.domain.errors import Malformed
from posthorn.domain.ids import EVENT, EVENT_SHARDS, REPLAY, first_id
from posthorn.domain.models import DeliveryKey, Event, Reason, Status
from posthorn.stores.deliveries import Deliveries
from posthorn.stores.delivery_rows import Lease
from posthorn_cli import dead_letters
from posthorn_cli.installed import Installed
from posthorn_cli.redispatch import RedispatchCounts, redispatch, redispatch_one
from tests.configuration_sets import new_destination, new_set
from tests.later_versions import unreadable
from tests.network import answers, in_turn
from tests.sample_requests import SINCE
from tests.template import REGION

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.installation import Installation, Waiting

QUEUES = ("DeliverQueue", "Retry1MinQueue", "Retry5MinQueue", "Retry15MinQueue")
DEAD = (
    "DispatchDeadLetterQueue",
    "DeliverDeadLetterQueue",
    "FeedbackDeadLetterQueue",
    "ReplayDeadLetterQueue",
)
HOUR_MS = 3_600_000
REPLAY_ID = first_id(REPLAY, now_ms=0)


@pytest.fixture
def place(posthorn: Installation) -> Installed:
    """Return the installation as a command finds it by the outputs of its stack."""
    outputs = {f"{name}Name": table for name, table in posthorn.tables.items()}
    outputs |= {f"{name}Name": url.rsplit("/", 1)[1] for name, url in posthorn.queues.items()}
    outputs["RetentionDays"] = "30"
    return Installed("posthorn", boto3.Session(region_name=REGION), outputs, posthorn.clock)


def _window(posthorn: Installation, place: Installed, *, dry_run: bool = False) -> RedispatchCounts:
    now = posthorn.clock()
    return redispatch(place, since_ms=now - HOUR_MS, until_ms=now, dry_run=dry_run, progress=lambda _: None)


def _all_messages(posthorn: Installation) -> list[Waiting]:
    return [message for queue in QUEUES for message in posthorn.take(queue)]


def _send(posthorn: Installation, queue: str, body: str) -> None:
    clients.client("sqs").send_message(QueueUrl=posthorn.queues[queue], MessageBody=body)


def _go(
    place: Installed, queue: str, *, move: bool = False, dry_run: bool = False
) -> tuple[dead_letters.QueueCounts, list[str]]:
    counts, said = dead_letters.QueueCounts(), []

    def say(handled: dead_letters.Handled) -> None:
        said.append(handled.line())

    dead_letters.go_through(place, queue, counts=counts, move=move, dry_run=dry_run, say=say, wait_seconds=0)
    return counts, said


def test_events_without_rows_are_delivered_after_all(posthorn: Installation, place: Installed) -> None:
    """What the stream gave up on is queued for every endpoint that should have had it, and for no other."""
    before = posthorn.register("before.example.com")
    posthorn.register("other.example.com", events=["CONTACT_DELETED"])
    _, other_key = posthorn.new_workspace()
    posthorn.call("POST", "/v1/webhooks", {"url": "https://x.example.com/", "events": ["*"]}, key=other_key)
    posthorn.network.receivers |= {"before.example.com": answers(200), "after.example.com": answers(200)}
    event_ids = sorted(posthorn.publish() for _ in range(30))
    posthorn.clock.pass_seconds(1)
    posthorn.register("after.example.com")

    dry = _window(posthorn, place, dry_run=True)
    nothing = _all_messages(posthorn)
    real = _window(posthorn, place)
    again = _window(posthorn, place)

    messages = _all_messages(posthorn)
    assert (dry, nothing) == (RedispatchCounts(channels=2, events=30, missing=30), [])
    assert real == RedispatchCounts(channels=2, events=30, missing=30, queued=30)
    assert again == RedispatchCounts(channels=2, events=30)
    assert posthorn.deliver(messages) == set()
    assert sorted(received.id for received in posthorn.network.at("before.example.com")) == event_ids
    assert posthorn.network.at("after.example.com") == []
    rows = [posthorn.row(DeliveryKey(before["id"], event_id)) for event_id in event_ids]
    assert {row.status for row in rows if row} == {Status.DELIVERED}


def test_what_has_a_row_is_left_alone(posthorn: Installation, place: Installed) -> None:
    """Delivered, failed and waiting deliveries are nothing that is missing."""
    for number, status in enumerate((200, 404, 500)):
        posthorn.register(f"h{number}.example.com")
        posthorn.network.receivers[f"h{number}.example.com"] = answers(status)
    posthorn.publish()
    posthorn.dispatch()
    posthorn.take("Retry1MinQueue")

    assert _window(posthorn, place) == RedispatchCounts(channels=1, events=1)
    assert _all_messages(posthorn) == []


def test_only_the_window_is_looked_at(posthorn: Installation, place: Installed) -> None:
    """Both ends of the window belong to it; what is a millisecond outside does not."""
    posthorn.register()
    start = posthorn.clock()
    for _ in range(4):
        posthorn.publish()
        posthorn.clock.pass_seconds(0.001)

    tally = redispatch(place, since_ms=start + 1, until_ms=start + 2, dry_run=True, progress=lambda _: None)

    assert (tally.events, tally.missing) == (2, 2)


def test_a_disabled_endpoint_gets_its_reason(posthorn: Installation, place: Installed) -> None:
    """What a disabled endpoint missed ends as any other event for it would: on record, replayable."""
    webhook = posthorn.register()
    posthorn.call("PUT", f"/v1/webhooks/{webhook['id']}", {"enabled": False})
    posthorn.clock.pass_seconds(1)
    event_id = posthorn.publish()

    _window(posthorn, place)
    posthorn.deliver(_all_messages(posthorn))

    row = posthorn.row(DeliveryKey(webhook["id"], event_id))
    assert row is not None
    assert row.reason is Reason.ENDPOINT_DISABLED


def test_an_event_of_a_later_version_is_counted_and_left(posthorn: Installation, place: Installed) -> None:
    """A row that this version cannot read hides no other."""
    posthorn.register()
    event_ids = [posthorn.publish() for _ in range(2)]
    dynamodb, table = clients.client("dynamodb"), posthorn.tables["EventsTable"]
    row = next(one for one in dynamodb.scan(TableName=table)["Items"] if one["sk"]["S"] == event_ids[0])
    dynamodb.put_item(TableName=table, Item={**row, "v": {"N": "99"}})

    assert _window(posthorn, place) == RedispatchCounts(
        channels=1, events=2, unreadable=1, missing=1, queued=1
    )


def test_an_endpoint_of_a_later_version_leaves_work_undone(posthorn: Installation, place: Installed) -> None:
    """What an endpoint that cannot be read may have missed counts as failed until a version reads it."""
    hidden, _ = posthorn.register("hidden.example.com"), posthorn.register("fine.example.com")
    posthorn.clock.pass_seconds(1)
    posthorn.publish()
    posthorn.clock.pass_seconds(1)
    later = posthorn.register("later.example.com")

    with (
        unreadable(posthorn, posthorn.workspace, hidden["id"], "v"),
        unreadable(posthorn, posthorn.workspace, later["id"], "v"),
    ):
        dry = _window(posthorn, place, dry_run=True)
        first = _window(posthorn, place)
        again = _window(posthorn, place)

    assert dry == RedispatchCounts(channels=1, events=1, missing=2)
    assert first == RedispatchCounts(channels=1, events=1, missing=2, queued=1, failed=1)
    assert again == RedispatchCounts(channels=1, events=1, missing=1, failed=1)
    assert _window(posthorn, place) == RedispatchCounts(channels=1, events=1, missing=1, queued=1)


def _dead_attempt(posthorn: Installation) -> str:
    """Let an attempt fail, and return the message for the next one, which is taken from its queue."""
    posthorn.register()
    posthorn.network.receivers["hooks.example.com"] = in_turn(answers(500), answers(200))
    posthorn.publish()
    posthorn.dispatch()
    (message,) = posthorn.take("Retry1MinQueue")
    return message.body


def test_an_expunged_event_is_not_redispatched(posthorn: Installation, place: Installed) -> None:
    """The command says why, and queues nothing."""
    posthorn.register()
    event_id = posthorn.publish()
    assert posthorn.call("DELETE", f"/v1/events/{event_id}/data").status == 200

    with pytest.raises(Malformed, match="expunged"):
        redispatch_one(place, posthorn.workspace, event_id, dry_run=False)

    assert posthorn.waiting("DeliverQueue") == []


@pytest.mark.parametrize("unreadable", [False, True])
def test_an_attempt_goes_back_to_the_queue_of_its_number(
    posthorn: Installation, place: Installed, unreadable: bool
) -> None:
    """A message that was received too often, or declared unreadable, is queued again and delivered."""
    body = _dead_attempt(posthorn)
    wrapped = {
        "v": 1,
        "reason": "there is no such delivery",
        "kind": "message",
        "message_id": "m",
        "body": body,
    }
    _send(posthorn, "DeliverDeadLetterQueue", json.dumps(wrapped) if unreadable else body)

    shown = _go(place, "deliver")
    dry = _go(place, "deliver", move=True, dry_run=True)
    untouched = [message.body for message in posthorn.waiting("Retry1MinQueue")]
    moved = _go(place, "deliver", move=True)

    (message,) = posthorn.waiting("Retry1MinQueue")
    assert (shown[0].moved, dry[0].moved, untouched) == (0, 0, [])
    assert (shown[0].found, dry[0].found, moved[0]) == (1, 1, dead_letters.QueueCounts(found=1, moved=1))
    assert message.task == {**json.loads(body), "moved": True}
    assert (message.delay, message.group) == (0, message.task["endpoint"])
    assert posthorn.waiting("DeliverDeadLetterQueue") == []
    assert ("there is no such delivery" if unreadable else "received too often") in shown[1][0]
    assert posthorn.deliver([message]) == set()
    assert len(posthorn.network.received) == 2


def test_a_moved_attempt_goes_on_with_its_claim(posthorn: Installation, place: Installed) -> None:
    """The message that took the lease is a dead letter: once moved, it takes the ended lease under its new id."""
    body = _dead_attempt(posthorn)
    task, now = json.loads(body), posthorn.clock()
    key = DeliveryKey(task["endpoint"], task["event"])
    lease = Lease(now + 30_000, "another", 0)
    posthorn.deliveries.claim(key, generation=1, attempt=2, now_ms=now, lease=lease)
    posthorn.clock.pass_seconds(31)
    _send(posthorn, "Retry1MinQueue", body)
    (repeated,) = posthorn.take("Retry1MinQueue")

    dropped = posthorn.deliver([repeated]), len(posthorn.network.received)
    _send(posthorn, "DeliverDeadLetterQueue", body)
    _go(place, "deliver", move=True)
    (moved,) = posthorn.take("Retry1MinQueue")

    assert dropped == (set(), 1)
    assert posthorn.deliver([moved]) == set()
    assert len(posthorn.network.received) == 2


def test_a_result_that_dynamodb_refused_goes_back(posthorn: Installation, place: Installed) -> None:
    """A recorded attempt that became a dead letter is moved as it is; its row is written, and nothing is sent."""
    webhook = posthorn.register()
    posthorn.network.receivers["hooks.example.com"] = answers(200)
    event_id = posthorn.publish()
    with mock.patch.object(Deliveries, "put_all", lambda _, rows, **__: list(rows)):
        posthorn.dispatch()
    (result,) = posthorn.take("DeliverQueue")
    _send(posthorn, "DeliverDeadLetterQueue", result.body)

    counts, (said,) = _go(place, "deliver", move=True)
    (moved,) = posthorn.take("DeliverQueue")
    failed = posthorn.deliver([moved])

    row = posthorn.row(DeliveryKey(webhook["id"], event_id))
    assert counts == dead_letters.QueueCounts(found=1, moved=1)
    assert "recorded attempt" in said
    assert (moved.body, failed) == (result.body, set())
    assert row is not None
    assert row.status is Status.DELIVERED
    assert len(posthorn.network.received) == 1


def _noticed(posthorn: Installation) -> tuple[str, str]:
    """Write an operational event with a notice; return its id, and the body of the notice's message."""
    now = posthorn.clock()
    event = Event(
        id=posthorn.services.new_id(EVENT),
        channel=posthorn.workspace,
        workspace=posthorn.workspace,
        type="WEBHOOK_DISABLED",
        data="{}",
        created_at=rfc3339(now),
        notice="{}",
    )
    posthorn.services.events.accept([event], now_ms=now)
    return event.id, write_notice_message(NoticeMessage(event.channel, event.id))


@pytest.mark.parametrize("unreadable", [False, True])
def test_a_notice_goes_back_to_its_queue(posthorn: Installation, place: Installed, unreadable: bool) -> None:
    """A notice that its target refused for an hour is queued again, and the command says what it is about."""
    event_id, body = _noticed(posthorn)
    wrapped = {
        "v": 1,
        "reason": "there is no such notice",
        "kind": "message",
        "message_id": "m",
        "body": body,
    }
    _send(posthorn, "DeliverDeadLetterQueue", json.dumps(wrapped) if unreadable else body)

    moved, said = _go(place, "deliver", move=True)

    assert moved == dead_letters.QueueCounts(found=1, moved=1)
    assert f"notice  {event_id} of {posthorn.workspace}" in said[0]
    assert [message.body for message in posthorn.waiting("DeliverQueue")] == [body]


def test_a_notice_that_cannot_be_read_stays(posthorn: Installation, place: Installed) -> None:
    """What says of itself that it is a notice, and is none, is shown and kept."""
    _send(posthorn, "DeliverDeadLetterQueue", '{"v":1,"notice":"evt_1"}')

    moved, said = _go(place, "deliver", move=True)

    assert moved == dead_letters.QueueCounts(found=1)
    assert "notice is not an event id" in said[0]


def test_the_notices_of_a_window_are_queued_again(posthorn: Installation, place: Installed) -> None:
    """A stream that stood still for a day has sent no notice, and nothing records which were sent."""
    posthorn.register()
    _, body = _noticed(posthorn)

    dry = _window(posthorn, place, dry_run=True)
    nothing = posthorn.waiting("DeliverQueue")
    real = _window(posthorn, place)

    assert (dry.notices, nothing, real.notices) == (1, [], 1)
    assert [message.body for message in posthorn.waiting("DeliverQueue")] == [body]


def test_the_window_of_a_workspace_with_destinations_only(posthorn: Installation, place: Installed) -> None:
    """The operational events of event destinations are on the workspace's channel, which may have no endpoint."""
    new_destination(posthorn, new_set(posthorn))
    _noticed(posthorn)

    assert _window(posthorn, place).notices == 1


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

    handled, said = _go(place, "dispatch", move=True)

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
    _send(posthorn, "DispatchDeadLetterQueue", json.dumps(letter))


def test_a_batch_that_the_mapping_gave_up_on_is_found_by_its_time(
    posthorn: Installation, place: Installed
) -> None:
    """Lambda tells only when the records came; that window is dispatched again, and named for the operator."""
    webhook = posthorn.register()
    event_id = posthorn.publish()
    arrived = rfc3339(posthorn.clock())
    _send_batch_letter(posthorn, arrived)

    _, said = _go(place, "dispatch")
    handled, _ = _go(place, "dispatch", move=True)

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
        handled, said = _go(place, "dispatch", move=True)

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
        _go(place, "dispatch", move=True)
    events.unregister("before-call.dynamodb.Query", refuse)
    first = posthorn.waiting("DeliverQueue")
    again, said = _go(place, "dispatch", move=True)

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
    handled, said = _go(place, "dispatch", move=True)

    assert handled == dead_letters.QueueCounts(found=1, moved=0)
    assert "kept" in said[0]
    assert "not all of its deliveries could be queued" in said[0]
    assert len(posthorn.waiting("DispatchDeadLetterQueue")) == 1


@pytest.mark.parametrize(
    ("queue", "target", "added"),
    [
        ("DeliverDeadLetterQueue", "Retry1MinQueue", {"moved": True}),
        ("ReplayDeadLetterQueue", "ReplayQueue", {}),
    ],
)
def test_a_message_goes_back_as_it_was(
    posthorn: Installation, place: Installed, queue: str, target: str, added: dict[str, Any]
) -> None:
    """Fields that this version of the command does not know stay in the message; an attempt says that it was moved."""
    ids = {"endpoint": "wh_1", "event": "evt_01GY5BVC30BPC335BN0KCGXRQ8", "channel": "c", "replay": REPLAY_ID}
    body = json.dumps({"v": 1, **ids, "generation": 1, "attempt": 2, "step": 1, "later": {"n": [1, "é"]}})
    _send(posthorn, queue, body)

    _go(place, queue.removesuffix("DeadLetterQueue").lower(), move=True)

    (message,) = posthorn.waiting(target)
    assert json.loads(message.body) == json.loads(body) | added
    assert (message.delay, message.group) == (0, "wh_1")


@pytest.mark.parametrize("unreadable", [False, True])
def test_a_notification_goes_back_to_its_queue(
    posthorn: Installation, place: Installed, unreadable: bool
) -> None:
    """A notification of SES keeps its text, whether it was declared unreadable or received too often."""
    body = '{"eventType":"Bounce","mail":{}}'
    wrapped = {"v": 1, "reason": "no set", "kind": "notification", "message_id": "m-1", "body": body}
    _send(posthorn, "FeedbackDeadLetterQueue", json.dumps(wrapped) if unreadable else body)

    handled, said = _go(place, "feedback", move=True)

    assert handled == dead_letters.QueueCounts(found=1, moved=1)
    assert [message.body for message in posthorn.waiting("FeedbackQueue")] == [body]
    assert "Bounce" not in said[0]


@pytest.mark.parametrize("is_unreadable", [False, True])
def test_a_step_of_a_replay_goes_back_to_its_queue(
    posthorn: Installation, place: Installed, is_unreadable: bool
) -> None:
    """A bulk replay whose step was given up on goes on from there."""
    path = f"/v1/webhooks/{posthorn.register()['id']}/replays"
    replay = posthorn.call("POST", path, {"since": SINCE}).body["replay"]
    (step,) = posthorn.take("ReplayQueue")
    wrapped = json.dumps({"v": 1, "kind": "message", "reason": "for a test", "body": step.body})
    _send(posthorn, "ReplayDeadLetterQueue", wrapped if is_unreadable else step.body)

    handled, said = _go(place, "replay", move=True)

    assert (handled.found, handled.moved) == (1, 1)
    assert replay["id"] in said[0]
    assert posthorn.replay(posthorn.take("ReplayQueue")) == set()
    assert posthorn.call("GET", f"{path}/{replay['id']}").body["replay"]["state"] == "done"


@pytest.mark.parametrize(
    "body",
    [
        "not json",
        "[]",
        "{}",
        '{"v":99,"endpoint":"wh_1"}',
        '{"kind":"message","reason":"odd","body":"canary"}',
        '{"kind":"stream-record","reason":"odd","keys":null}',
        '{"kind":"stream-record","reason":"odd","keys":{"pk":{"S":"x"},"sk":{"S":"evt_1"}}}',
        '{"kind":"stream-record","reason":"gone","keys":{"pk":{"S":"w#0"},"sk":{"S":"evt_01GY5BVC30BPC335BN0KCGXRQ8"}}}',
        '{"DDBStreamBatchInfo":{}}',
    ],
)
def test_what_nobody_understands_stays(posthorn: Installation, place: Installed, body: str) -> None:
    """A message that cannot be moved is shown, kept, and visible to the next command at once."""
    _send(posthorn, "DeliverDeadLetterQueue", body)

    handled, said = _go(place, "deliver", move=True)
    again, _ = _go(place, "deliver")

    assert (handled, again) == (dead_letters.QueueCounts(found=1), dead_letters.QueueCounts(found=1))
    assert "kept" in said[0]
    assert "canary" not in said[0]
    assert _all_messages(posthorn) == []


def test_a_command_that_dies_on_its_way_loses_nothing(posthorn: Installation, place: Installed) -> None:
    """Sent first and deleted then: whoever dies in between leaves one message too many, which does nothing."""
    body = _dead_attempt(posthorn)
    _send(posthorn, "DeliverDeadLetterQueue", body)

    def die(**_: Any) -> None:
        raise KeyboardInterrupt

    with mock.patch.object(place.sqs, "delete_message", die), pytest.raises(KeyboardInterrupt):
        _go(place, "deliver", move=True)
    second, _ = _go(place, "deliver", move=True)

    messages = posthorn.take("Retry1MinQueue")
    assert second == dead_letters.QueueCounts(found=1, moved=1)
    assert [message.task for message in messages] == [{**json.loads(body), "moved": True}] * 2
    for message in messages:
        posthorn.deliver([message])
    assert len(posthorn.network.received) == 2
