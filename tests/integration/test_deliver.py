"""Later attempts: exact retry times, and how unusual messages are handled."""

from __future__ import annotations

import json
from dataclasses import replace
from operator import attrgetter
from typing import TYPE_CHECKING, Any

import pytest

from posthorn.aws import clients
from posthorn.delivery.claims import HOLDER_LENGTH
from posthorn.domain.errors import Unavailable
from posthorn.domain.models import DeliveryKey, Failure, Reason, Status
from posthorn.stores.delivery_rows import Lease
from tests.installation import Waiting
from tests.network import answers, fails, in_turn

if TYPE_CHECKING:
    from posthorn.domain.models import Delivery
    from tests.installation import Installation
    from tests.network import Receiver

QUEUES = ("Retry1MinQueue", "Retry5MinQueue", "Retry15MinQueue")


def _broken(posthorn: Installation, receiver: Receiver, **fields: Any) -> tuple[DeliveryKey, Waiting]:
    """Register a failing receiver, make the first attempt, and return delivery and next message."""
    webhook = posthorn.register(**fields)
    posthorn.network.receivers["hooks.example.com"] = receiver
    event_id = posthorn.publish()
    assert posthorn.dispatch() == set()
    (message,) = posthorn.take("Retry1MinQueue")
    return DeliveryKey(webhook["id"], event_id), message


def _row(posthorn: Installation, key: DeliveryKey) -> Delivery:
    row = posthorn.row(key)
    assert row is not None
    return row


@pytest.mark.parametrize(
    "receiver", [answers(500), answers(503), fails(Failure.TIMEOUT), fails(Failure.CONNECT)]
)
def test_the_exact_schedule(posthorn: Installation, receiver: Receiver) -> None:
    """Attempts are made at 0, 60, 360 and 1260 seconds, each through its own queue, and then no more."""
    webhook = posthorn.register()
    posthorn.network.receivers["hooks.example.com"] = receiver
    start = posthorn.clock()
    event_id = posthorn.publish()
    assert posthorn.dispatch() == set()

    hops = []
    while waiting := [(queue, message) for queue in QUEUES for message in posthorn.take(queue)]:
        assert len(waiting) == 1
        queue, message = waiting[0]
        hops.append((queue, message.delay, message.task["attempt"]))
        posthorn.clock.pass_seconds(message.delay)
        assert posthorn.deliver([message]) == set()

    assert hops == [("Retry1MinQueue", 60, 2), ("Retry5MinQueue", 300, 3), ("Retry15MinQueue", 900, 4)]
    assert [(r.at - start) / 1000 for r in posthorn.network.received] == [0, 60, 360, 1260]
    row = _row(posthorn, DeliveryKey(webhook["id"], event_id))
    assert (row.status, row.reason, row.attempt) == (Status.FAILED, Reason.EXHAUSTED, 4)
    assert [(a.number, (a.started_at - start) / 1000) for a in row.attempts] == [
        (1, 0),
        (2, 60),
        (3, 360),
        (4, 1260),
    ]
    assert row.next_attempt_at is None


def test_each_attempt_is_signed_for_its_own_time(posthorn: Installation) -> None:
    """Body and id are the same on every attempt; timestamp and signature are not."""
    _, message = _broken(posthorn, answers(500))
    posthorn.clock.pass_seconds(60)
    posthorn.deliver([message])

    first, second = posthorn.network.received
    assert (first.id, first.body) == (second.id, second.body)
    assert first.headers["x-smashsend-signature"] == second.headers["x-smashsend-signature"]
    assert int(second.headers["webhook-timestamp"]) - int(first.headers["webhook-timestamp"]) == 60
    assert first.headers["webhook-signature"] != second.headers["webhook-signature"]


def test_success_at_a_retry_ends_it(posthorn: Installation) -> None:
    """A 2xx on the second attempt settles the delivery, and its row leaves both indexes."""
    key, message = _broken(posthorn, in_turn(answers(500), answers(200)))

    assert posthorn.deliver([message]) == set()

    row = _row(posthorn, key)
    assert (row.status, row.attempt, row.next_attempt_at) == (Status.DELIVERED, 2, None)
    item = clients.client("dynamodb").scan(TableName=posthorn.tables["DeliveriesTable"])["Items"][0]
    assert not {"due_shard", "undelivered", "next_attempt_at", "lease_until", "reason"} & set(item)
    assert not any(posthorn.waiting(queue) for queue in QUEUES)


def test_an_open_row_is_in_both_indexes_and_a_failed_one_in_one(posthorn: Installation) -> None:
    """The index `due` holds waiting deliveries; `undelivered` also holds failed ones."""
    key, message = _broken(posthorn, in_turn(answers(500), answers(400)))
    dynamodb, table = clients.client("dynamodb"), posthorn.tables["DeliveriesTable"]

    def indexed() -> tuple[int, int]:
        due = dynamodb.scan(TableName=table, IndexName="due")["Count"]
        return due, dynamodb.scan(TableName=table, IndexName="undelivered")["Count"]

    waiting = indexed()
    posthorn.deliver([message])

    assert waiting == (1, 1)
    assert indexed() == (0, 1)
    assert _row(posthorn, key).reason is Reason.REJECTED


@pytest.mark.parametrize(("asked", "delay"), [("120", 120), ("30", 60), ("86400", 900), ("soon", 60)])
def test_retry_after_can_only_lengthen_the_wait(posthorn: Installation, asked: str, delay: int) -> None:
    """The longer of schedule and Retry-After applies, up to 900 seconds, and so does the message's delay."""
    key, message = _broken(posthorn, answers(503, headers=(("retry-after", asked),)))

    assert message.delay == delay
    assert _row(posthorn, key).next_attempt_at == posthorn.clock() + delay * 1000


@pytest.mark.parametrize(("status", "retried"), [(429, True), (408, True), (404, False)])
def test_rate_limits_are_retried_on_request(posthorn: Installation, status: int, retried: bool) -> None:
    """With `retry_rate_limited`, 408 and 429 are retried like 5xx; other 4xx stay final."""
    webhook = posthorn.register(retry_rate_limited=True)
    posthorn.network.receivers["hooks.example.com"] = answers(status)
    event_id = posthorn.publish()

    posthorn.dispatch()

    row = _row(posthorn, DeliveryKey(webhook["id"], event_id))
    assert row.status is (Status.RETRYING if retried else Status.FAILED)


@pytest.mark.parametrize("status", [400, 401, 404, 408, 429, 499])
def test_a_4xx_is_final_after_one_attempt(posthorn: Installation, status: int) -> None:
    """A 4xx is not retried."""
    webhook = posthorn.register()
    posthorn.network.receivers["hooks.example.com"] = answers(status)
    event_id = posthorn.publish()

    posthorn.dispatch()

    row = _row(posthorn, DeliveryKey(webhook["id"], event_id))
    assert (row.status, row.reason, row.attempt) == (Status.FAILED, Reason.REJECTED, 1)
    assert not any(posthorn.waiting(queue) for queue in QUEUES)


def test_the_same_message_twice_sends_once(posthorn: Installation) -> None:
    """A redelivered message finds its attempt made, and only sends the next message again."""
    key, message = _broken(posthorn, answers(500))

    posthorn.deliver([message])
    posthorn.deliver([message])

    assert len(posthorn.network.received) == 2
    assert _row(posthorn, key).attempt == 2
    repeated = posthorn.take("Retry5MinQueue")
    assert {m.body for m in repeated} == {repeated[0].body}
    posthorn.deliver(repeated)
    assert len(posthorn.network.received) == 3


def test_two_copies_in_one_batch_send_once(posthorn: Installation) -> None:
    """Of two concurrent messages for one attempt, one makes it and the other returns to the queue."""
    _, message = _broken(posthorn, in_turn(answers(500), answers(200)))
    copy = replace(message, id="copy")

    failed = posthorn.deliver([message, copy])

    assert len(posthorn.network.received) == 2
    assert len(failed) == 1
    assert failed < {message.id, "copy"}


def test_the_claim_of_a_dead_worker_expires(posthorn: Installation) -> None:
    """A delivery that was claimed and never finished is taken over once the claim expires."""
    key, message = _broken(posthorn, in_turn(answers(500), answers(200)))
    posthorn.deliveries.claim(
        key,
        generation=1,
        attempt=2,
        now_ms=posthorn.clock(),
        lease=Lease(posthorn.clock() + 35_000, message.id[:HOLDER_LENGTH], 0),
    )

    held = posthorn.deliver([message])
    posthorn.clock.pass_seconds(36)
    taken = posthorn.deliver([message])

    assert held == {message.id}
    assert taken == set()
    assert _row(posthorn, key).status is Status.DELIVERED


def test_an_old_message_does_nothing(posthorn: Installation) -> None:
    """A message for an earlier attempt or another generation changes nothing."""
    key, message = _broken(posthorn, in_turn(answers(500), answers(500), answers(200)))
    posthorn.deliver([message])
    posthorn.deliver(posthorn.take("Retry5MinQueue"))
    before = _row(posthorn, key)
    other = {**message.task, "generation": 2}

    failed = posthorn.deliver([message, replace(message, body=json.dumps(other), id="other")])

    assert failed == set()
    assert _row(posthorn, key) == before
    assert len(posthorn.network.received) == 3


def test_a_deleted_webhook_ends_its_deliveries(posthorn: Installation) -> None:
    """When its endpoint is deleted, a waiting delivery fails unsent with that reason."""
    key, message = _broken(posthorn, answers(500))
    posthorn.call("DELETE", f"/v1/webhooks/{key.endpoint_id}")

    assert posthorn.deliver([message]) == set()

    row = _row(posthorn, key)
    assert (row.status, row.reason, row.attempt) == (Status.FAILED, Reason.ENDPOINT_DELETED, 1)
    assert len(posthorn.network.received) == 1


def test_a_disabled_webhook_ends_its_deliveries(posthorn: Installation) -> None:
    """When its endpoint is disabled, a waiting delivery fails unsent with that reason."""
    key, message = _broken(posthorn, answers(500))
    posthorn.call("PUT", f"/v1/webhooks/{key.endpoint_id}", {"enabled": False})

    assert posthorn.deliver([message]) == set()

    row = _row(posthorn, key)
    assert (row.status, row.reason) == (Status.FAILED, Reason.ENDPOINT_DISABLED)
    assert len(posthorn.network.received) == 1


def test_an_expired_event_ends_its_deliveries(posthorn: Installation) -> None:
    """When its event has expired, a waiting delivery fails with that reason."""
    key, message = _broken(posthorn, answers(500))
    dynamodb, table = clients.client("dynamodb"), posthorn.tables["EventsTable"]
    (row,) = dynamodb.scan(TableName=table)["Items"]
    dynamodb.delete_item(TableName=table, Key={"pk": row["pk"], "sk": row["sk"]})

    assert posthorn.deliver([message]) == set()

    assert _row(posthorn, key).reason is Reason.EVENT_EXPIRED


def test_a_changed_webhook_is_used_as_it_is_by_then(posthorn: Installation) -> None:
    """A retry uses the webhook's current URL and token."""
    key, message = _broken(posthorn, answers(500))
    posthorn.network.receivers["new.example.com"] = answers(200)
    change = {"url": "https://new.example.com/hook", "token": "another-token-of-mine"}
    posthorn.call("PUT", f"/v1/webhooks/{key.endpoint_id}", change)

    posthorn.deliver([message])

    first, second = posthorn.network.received
    assert second.host == "new.example.com"
    assert first.headers["x-smashsend-signature"] != second.headers["x-smashsend-signature"]


def test_gone_at_a_retry_disables_the_webhook(posthorn: Installation) -> None:
    """410 on a retry disables the webhook, as on the first attempt."""
    key, message = _broken(posthorn, in_turn(answers(500), answers(410)))

    posthorn.deliver([message])

    shown = posthorn.call("GET", f"/v1/webhooks/{key.endpoint_id}").body["webhook"]
    assert (shown["enabled"], shown["disabledReason"]) == (False, "gone")


@pytest.mark.parametrize(
    "body",
    [
        "",
        "not json",
        "[]",
        "[" * 100_000,
        "{}",
        '{"v":99}',
        '{"v":1,"endpoint":"wh_1","event":"evt_1","channel":"w","generation":1,"attempt":2}',
        '{"v":1,"endpoint":"wh_1","event":"evt_01GY5BVC30BPC335BN0KCGXRQ8","channel":"w","generation":1,"attempt":0}',
        '{"v":1,"endpoint":"wh_1","event":"evt_01GY5BVC30BPC335BN0KCGXRQ8","channel":"w","generation":1,"attempt":true}',
    ],
    ids=lambda body: body[:60],
)
@pytest.mark.parametrize("place", [0, 1])
def test_a_malformed_message_is_dead_lettered_and_its_neighbors_are_delivered(
    posthorn: Installation, body: str, place: int
) -> None:
    """A malformed message becomes a dead letter with a reason."""
    key, message = _broken(posthorn, in_turn(answers(500), answers(200)))
    odd = Waiting(body=body, delay=0, group=None, id="odd")
    messages = [message, odd] if place else [odd, message]

    failed = posthorn.deliver(messages)

    assert failed == set()
    assert _row(posthorn, key).status is Status.DELIVERED
    (dead_letter,) = posthorn.waiting("DispatchDeadLetterQueue")  # these settings are DispatchFunction's
    told = json.loads(dead_letter.body)
    assert (told["message_id"], told["body"]) == ("odd", body)
    assert told["reason"]


@pytest.mark.parametrize(
    ("part", "method"),
    [
        ("_deliveries", "claim"),
        ("_events", "get_many"),
        ("_endpoints", "get_many"),
        ("_claims._queues", "enqueue"),
    ],
)
def test_an_outage_brings_the_message_back_and_loses_nothing(
    posthorn: Installation, monkeypatch: pytest.MonkeyPatch, part: str, method: str
) -> None:
    """If DynamoDB or SQS fails, the message is received again and then processed correctly."""
    key, message = _broken(posthorn, answers(500))
    with monkeypatch.context() as broken:

        def fail(*_: object, **__: object) -> None:
            raise Unavailable(method, "ServiceUnavailable")

        broken.setattr(type(attrgetter(part)(posthorn.deliverer)), method, fail)
        first = posthorn.deliver([message])
    posthorn.clock.pass_seconds(180)  # the queue shows it again after its visibility timeout

    second = posthorn.deliver([message])

    assert (first, second) == ({message.id}, set())
    row = _row(posthorn, key)
    assert (row.status, row.attempt) == (Status.RETRYING, 2)
    (following,) = posthorn.waiting("Retry5MinQueue")
    assert following.task["attempt"] == 3


def test_without_kms_the_message_comes_again(posthorn: Installation, monkeypatch: pytest.MonkeyPatch) -> None:
    """If KMS cannot decrypt a signing secret, that is an outage and not the receiver's failure."""
    from posthorn.aws.secrets import Unsealer

    key, message = _broken(posthorn, in_turn(answers(500), answers(200)))

    def fail(*_: object, **__: object) -> None:
        raise Unavailable("decrypt", "ThrottlingException")

    with monkeypatch.context() as broken:
        broken.setattr(Unsealer, "secrets_of", fail)
        failed = posthorn.deliver([message])

    assert failed == {message.id}
    assert _row(posthorn, key).attempt == 1
