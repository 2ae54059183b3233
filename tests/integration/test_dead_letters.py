"""`posthorn dead-letters`: what functions gave up on is shown, and goes back where it belongs."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any
from unittest import mock

import pytest

from posthorn.domain.ids import REPLAY, first_id
from posthorn.domain.models import DeliveryKey, Status
from posthorn.stores.deliveries import Deliveries
from posthorn.stores.delivery_rows import Lease
from posthorn_cli import dead_letters
from tests.network import answers, in_turn
from tests.operator import all_messages, go_through, installed, noticed, send
from tests.sample_requests import SINCE

if TYPE_CHECKING:
    from posthorn_cli.installed import Installed
    from tests.installation import Installation


@pytest.fixture
def place(posthorn: Installation) -> Installed:
    return installed(posthorn)


DEAD = (
    "DispatchDeadLetterQueue",
    "DeliverDeadLetterQueue",
    "FeedbackDeadLetterQueue",
    "ReplayDeadLetterQueue",
)


REPLAY_ID = first_id(REPLAY, now_ms=0)


def _dead_attempt(posthorn: Installation) -> str:
    """Let an attempt fail, and return the message for the next one, which is taken from its queue."""
    posthorn.register()
    posthorn.network.receivers["hooks.example.com"] = in_turn(answers(500), answers(200))
    posthorn.publish()
    posthorn.dispatch()
    (message,) = posthorn.take("Retry1MinQueue")
    return message.body


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
    send(posthorn, "DeliverDeadLetterQueue", json.dumps(wrapped) if unreadable else body)

    shown = go_through(place, "deliver")
    dry = go_through(place, "deliver", move=True, dry_run=True)
    untouched = [message.body for message in posthorn.waiting("Retry1MinQueue")]
    moved = go_through(place, "deliver", move=True)

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
    send(posthorn, "Retry1MinQueue", body)
    (repeated,) = posthorn.take("Retry1MinQueue")

    dropped = posthorn.deliver([repeated]), len(posthorn.network.received)
    send(posthorn, "DeliverDeadLetterQueue", body)
    go_through(place, "deliver", move=True)
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
    send(posthorn, "DeliverDeadLetterQueue", result.body)

    counts, (said,) = go_through(place, "deliver", move=True)
    (moved,) = posthorn.take("DeliverQueue")
    failed = posthorn.deliver([moved])

    row = posthorn.row(DeliveryKey(webhook["id"], event_id))
    assert counts == dead_letters.QueueCounts(found=1, moved=1)
    assert "recorded attempt" in said
    assert (moved.body, failed) == (result.body, set())
    assert row is not None
    assert row.status is Status.DELIVERED
    assert len(posthorn.network.received) == 1


@pytest.mark.parametrize("unreadable", [False, True])
def test_a_notice_goes_back_to_its_queue(posthorn: Installation, place: Installed, unreadable: bool) -> None:
    """A notice that its target refused for an hour is queued again, and the command says what it is about."""
    event_id, body = noticed(posthorn)
    wrapped = {
        "v": 1,
        "reason": "there is no such notice",
        "kind": "message",
        "message_id": "m",
        "body": body,
    }
    send(posthorn, "DeliverDeadLetterQueue", json.dumps(wrapped) if unreadable else body)

    moved, said = go_through(place, "deliver", move=True)

    assert moved == dead_letters.QueueCounts(found=1, moved=1)
    assert f"notice  {event_id} of {posthorn.workspace}" in said[0]
    assert [message.body for message in posthorn.waiting("DeliverQueue")] == [body]


def test_a_notice_that_cannot_be_read_stays(posthorn: Installation, place: Installed) -> None:
    """What says of itself that it is a notice, and is none, is shown and kept."""
    send(posthorn, "DeliverDeadLetterQueue", '{"v":1,"notice":"evt_1"}')

    moved, said = go_through(place, "deliver", move=True)

    assert moved == dead_letters.QueueCounts(found=1)
    assert "notice is not an event id" in said[0]


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
    send(posthorn, queue, body)

    go_through(place, queue.removesuffix("DeadLetterQueue").lower(), move=True)

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
    send(posthorn, "FeedbackDeadLetterQueue", json.dumps(wrapped) if unreadable else body)

    handled, said = go_through(place, "feedback", move=True)

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
    send(posthorn, "ReplayDeadLetterQueue", wrapped if is_unreadable else step.body)

    handled, said = go_through(place, "replay", move=True)

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
    send(posthorn, "DeliverDeadLetterQueue", body)

    handled, said = go_through(place, "deliver", move=True)
    again, _ = go_through(place, "deliver")

    assert (handled, again) == (dead_letters.QueueCounts(found=1), dead_letters.QueueCounts(found=1))
    assert "kept" in said[0]
    assert "canary" not in said[0]
    assert all_messages(posthorn) == []


def test_a_command_that_dies_on_its_way_loses_nothing(posthorn: Installation, place: Installed) -> None:
    """Sent first and deleted then: whoever dies in between leaves one message too many, which does nothing."""
    body = _dead_attempt(posthorn)
    send(posthorn, "DeliverDeadLetterQueue", body)

    def die(**_: Any) -> None:
        raise KeyboardInterrupt

    with mock.patch.object(place.sqs, "delete_message", die), pytest.raises(KeyboardInterrupt):
        go_through(place, "deliver", move=True)
    second, _ = go_through(place, "deliver", move=True)

    messages = posthorn.take("Retry1MinQueue")
    assert second == dead_letters.QueueCounts(found=1, moved=1)
    assert [message.task for message in messages] == [{**json.loads(body), "moved": True}] * 2
    for message in messages:
        posthorn.deliver([message])
    assert len(posthorn.network.received) == 2
