"""First attempts: a batch of stream records becomes rows, messages and POST requests."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from standardwebhooks import Webhook

from posthorn.aws import clients
from posthorn.aws.queues import DeadLetterQueue
from posthorn.delivery import dispatcher
from posthorn.domain.clock import now_ms
from posthorn.domain.errors import Unavailable
from posthorn.domain.models import DeliveryKey, Failure, Reason, Status
from posthorn.stores.endpoints import Endpoints
from tests.moto_account import listening
from tests.network import answers, fails

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.installation import Installation
    from tests.network import Received


def _verified(received: Received, token: str) -> dict[str, Any]:
    """Verify a delivery with the published library and return its payload."""
    library = Webhook("whsec_" + base64.b64encode(token.encode()).decode())
    payload: dict[str, Any] = library.verify(received.body, received.headers)
    return payload


def test_every_matching_webhook_gets_the_event_signed(posthorn: Installation) -> None:
    """Each endpoint with a matching pattern gets one POST, signed with its own token."""
    wanting = {
        "exact.example.com": ["CONTACT_CREATED"],
        "dotted.example.com": ["contact.created"],
        "all.example.com": ["*"],
        "prefix.example.com": ["CONTACT_*"],
        "twice.example.com": ["CONTACT_CREATED", "contact.created", "*"],
    }
    not_wanting = {"deleted.example.com": ["CONTACT_DELETED"], "campaign.example.com": ["campaign.*"]}
    tokens = {
        host: posthorn.register(host, events=events)["token"]
        for host, events in {**wanting, **not_wanting}.items()
    }
    posthorn.network.receivers = dict.fromkeys(tokens, answers(200))
    posthorn.clock.now_ms = now_ms()  # the library compares with the real time
    event_id = posthorn.publish(data={"contact": {"id": "cont_1"}}, created_at="2023-04-16T15:45:00Z")

    failed = posthorn.dispatch()

    assert failed == set()
    assert sorted(received.host for received in posthorn.network.received) == sorted(wanting)
    for received in posthorn.network.received:
        token = tokens[received.host]
        digest = hmac.new(token.encode(), received.body, hashlib.sha256).hexdigest()
        assert received.headers["x-smashsend-signature"] == digest
        assert received.headers["x-zootools-signature"] == digest
        assert received.headers["user-agent"] == "SMASHSEND-Webhook/1.0"
        assert received.headers["content-type"] == "application/json"
        assert received.id == event_id
        assert _verified(received, token) == {
            "event": "CONTACT_CREATED",
            "created_at": "2023-04-16T15:45:00Z",
            "data": {"contact": {"id": "cont_1"}},
        }


def test_an_event_reaches_webhooks_of_its_workspace_only(posthorn: Installation) -> None:
    """An event is matched only with endpoints of its own workspace."""
    _, other = posthorn.new_workspace()
    reply = posthorn.call(
        "POST", "/v1/webhooks", {"url": "https://theirs.example.com/", "events": ["*"]}, key=other
    )
    assert reply.status == 201
    posthorn.publish()

    posthorn.dispatch()

    assert posthorn.network.received == []


def test_a_first_try_success_costs_one_write_call_and_no_index(posthorn: Installation) -> None:
    """Twenty-five successes take one BatchWriteItem, and none of their rows is in an index."""
    posthorn.register()
    posthorn.network.receivers["hooks.example.com"] = answers(200)
    for _ in range(25):
        posthorn.publish()
    records = posthorn.stream()

    with _counted_calls() as calls:
        posthorn.dispatch(records)

    assert sorted(calls) == ["BatchGetItem", "BatchWriteItem", "Decrypt", "Query"]
    rows = clients.client("dynamodb").scan(TableName=posthorn.tables["DeliveriesTable"])["Items"]
    assert len(rows) == 25
    assert not any({"due_shard", "undelivered", "next_attempt_at"} & set(row) for row in rows)


def test_records_that_come_again_are_not_sent_again(posthorn: Installation) -> None:
    """A batch that arrives twice sends once: deliveries that have a row are skipped."""
    posthorn.register("good.example.com")
    posthorn.register("bad.example.com")
    posthorn.network.receivers |= {"good.example.com": answers(200), "bad.example.com": answers(404)}
    posthorn.publish()
    records = posthorn.stream()

    posthorn.dispatch(records)
    posthorn.dispatch(records)

    assert sorted(received.host for received in posthorn.network.received) == [
        "bad.example.com",
        "good.example.com",
    ]


def test_a_lost_message_is_sent_again_with_the_record(
    posthorn: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    """If SQS fails after the row was written, the record fails, and its next run sends only the message."""
    webhook = posthorn.register()
    posthorn.network.receivers["hooks.example.com"] = answers(500)
    event_id = posthorn.publish()
    records = posthorn.stream()
    with monkeypatch.context() as broken:

        def fail(*_: object, **__: object) -> None:
            raise Unavailable("send_message", "ServiceUnavailable")

        broken.setattr(type(posthorn.dispatcher._queues), "enqueue", fail)
        first = posthorn.dispatch(records)
    posthorn.clock.pass_seconds(20)

    second = posthorn.dispatch(records)

    assert first == {records[0]["dynamodb"]["SequenceNumber"]}
    assert second == set()
    assert len(posthorn.network.received) == 1
    (message,) = posthorn.waiting("Retry1MinQueue")
    assert (message.task["event"], message.task["attempt"], message.delay) == (event_id, 2, 40)
    row = posthorn.row(DeliveryKey(webhook["id"], event_id))
    assert row is not None
    assert (row.status, row.attempt) == (Status.RETRYING, 1)


@pytest.mark.parametrize(
    "spoil",
    [
        lambda image: image.pop("data"),
        lambda image: image.pop("v"),
        lambda image: image.update(v={"N": "99"}),
        lambda image: image.update(v={"N": "many"}),
        lambda image: image.update(data={"B": "!!!"}),
        lambda image: image.update(data={"B": base64.b64encode(b"not gzip").decode()}),
        lambda image: image.update(type={"N": "1"}),
        lambda image: image.update(type={"S": "no such spelling"}),
        lambda image: image.update(pk={"S": "no-shard"}),
        lambda image: image.update(sk={"S": "evt_short"}),
        lambda image: image.clear(),
    ],
)
@pytest.mark.parametrize("place", [0, 1, 2])
def test_a_malformed_record_is_dead_lettered_and_its_neighbors_are_delivered(
    posthorn: Installation, spoil: Callable[[dict[str, Any]], object], place: int
) -> None:
    """A malformed record becomes a dead letter with a reason, and the batch continues."""
    posthorn.register()
    posthorn.network.receivers["hooks.example.com"] = answers(200)
    events = [posthorn.publish(data={"n": number, "secret": "canary"}) for number in range(3)]
    records = sorted(
        posthorn.stream(), key=lambda record: events.index(record["dynamodb"]["Keys"]["sk"]["S"])
    )
    spoil(records[place]["dynamodb"]["NewImage"])

    failed = posthorn.dispatch(records)

    assert failed == set()
    assert {received.id for received in posthorn.network.received} == set(events) - {events[place]}
    (dead_letter,) = posthorn.waiting("DispatchDeadLetterQueue")
    told = json.loads(dead_letter.body)
    assert told["reason"]
    assert told["sequence_number"] == records[place]["dynamodb"]["SequenceNumber"]
    assert "canary" not in dead_letter.body


def test_a_removed_row_is_not_an_event(posthorn: Installation) -> None:
    """Records other than INSERT are ignored, should the filter ever let them through."""
    posthorn.register()
    posthorn.publish()
    (record,) = posthorn.stream()

    failed = posthorn.dispatch([{**record, "eventName": "REMOVE"}, {**record, "eventName": "MODIFY"}])

    assert failed == set()
    assert posthorn.network.received == []


def test_a_disabled_webhook_gets_a_row_and_no_post(posthorn: Installation) -> None:
    """Deliveries to a disabled endpoint are recorded, so that they can be replayed later."""
    webhook = posthorn.register()
    posthorn.call("PUT", f"/v1/webhooks/{webhook['id']}", {"enabled": False})
    event_id = posthorn.publish()

    posthorn.dispatch()

    row = posthorn.row(DeliveryKey(webhook["id"], event_id))
    assert posthorn.network.received == []
    assert row is not None
    assert (row.status, row.reason, row.attempt) == (Status.FAILED, Reason.ENDPOINT_DISABLED, 0)


def test_gone_disables_the_webhook(posthorn: Installation) -> None:
    """410 fails the delivery and disables the endpoint with the reason `gone`."""
    webhook = posthorn.register()
    posthorn.network.receivers["hooks.example.com"] = answers(410)
    event_id = posthorn.publish()
    posthorn.clock.pass_seconds(60)

    posthorn.dispatch()

    row = posthorn.row(DeliveryKey(webhook["id"], event_id))
    shown = posthorn.call("GET", f"/v1/webhooks/{webhook['id']}").body["webhook"]
    assert row is not None
    assert (row.status, row.reason) == (Status.FAILED, Reason.REJECTED)
    assert (shown["enabled"], shown["disabledReason"], shown["disabledAt"]) == (
        False,
        "gone",
        "2023-04-16T15:46:00Z",
    )


def test_deliveries_beyond_the_inline_limit_are_queued(
    posthorn: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Fan-out beyond the limit becomes queued rows and messages, grouped by endpoint."""
    monkeypatch.setattr(dispatcher, "INLINE_LIMIT", 2)
    webhooks = [posthorn.register(f"h{number}.example.com") for number in range(5)]
    posthorn.network.receivers = {f"h{number}.example.com": answers(200) for number in range(5)}
    event_id = posthorn.publish()

    failed = posthorn.dispatch()

    rows = [posthorn.row(DeliveryKey(webhook["id"], event_id)) for webhook in webhooks]
    statuses = [row.status for row in rows if row is not None]
    messages = posthorn.take("DeliverQueue")
    assert failed == set()
    assert len(posthorn.network.received) == 2
    assert sorted(statuses) == [Status.DELIVERED] * 2 + [Status.QUEUED] * 3
    assert sorted((m.group or "", m.delay, m.task["attempt"]) for m in messages) == sorted(
        (row.key.endpoint_id, 0, 1) for row in rows if row is not None and row.status is Status.QUEUED
    )
    assert posthorn.deliver(messages) == set()
    assert len(posthorn.network.received) == 5
    assert all(
        row is not None and row.status is Status.DELIVERED
        for row in (posthorn.row(DeliveryKey(webhook["id"], event_id)) for webhook in webhooks)
    )


def test_records_that_cannot_be_queued_in_time_fail(posthorn: Installation) -> None:
    """At the very end of an invocation, records are reported as failed instead of half written."""
    posthorn.register()
    posthorn.publish()
    records = posthorn.stream()

    assert posthorn.dispatch(records, remaining_ms=1_000) == {records[0]["dynamodb"]["SequenceNumber"]}
    assert posthorn.waiting("DeliverQueue") == []


def test_without_time_left_everything_is_queued(posthorn: Installation) -> None:
    """An invocation without time for another attempt queues it instead."""
    posthorn.register()
    posthorn.network.receivers["hooks.example.com"] = answers(200)
    posthorn.publish()

    failed = posthorn.dispatch(remaining_ms=15_000)

    assert failed == set()
    assert posthorn.network.received == []
    assert [message.task["attempt"] for message in posthorn.waiting("DeliverQueue")] == [1]


def test_without_kms_the_delivery_is_queued(posthorn: Installation) -> None:
    """If KMS cannot decrypt a signing secret, only that endpoint's delivery is queued."""
    locked, free = posthorn.register("locked.example.com"), posthorn.register("free.example.com")
    posthorn.network.receivers = {"free.example.com": answers(200), "locked.example.com": answers(200)}
    _swap_secret(posthorn, locked["id"], free["id"])
    posthorn.publish()

    failed = posthorn.dispatch()

    assert failed == set()
    assert [received.host for received in posthorn.network.received] == ["free.example.com"]
    assert [message.group for message in posthorn.waiting("DeliverQueue")] == [locked["id"]]


@pytest.mark.parametrize(
    ("part", "method"),
    [(Endpoints, "of_channel"), (DeadLetterQueue, "put")],
)
def test_an_outage_fails_the_records_and_loses_nothing(
    posthorn: Installation, monkeypatch: pytest.MonkeyPatch, part: type, method: str
) -> None:
    """If DynamoDB or SQS fails, the records are reported as failed, and their next run settles them."""
    webhook = posthorn.register()
    posthorn.network.receivers["hooks.example.com"] = answers(200)
    event_id = posthorn.publish()
    records = posthorn.stream()
    if method == "put":
        records[0]["dynamodb"]["NewImage"].pop("v")
    with monkeypatch.context() as broken:

        def fail(*_: object, **__: object) -> None:
            raise Unavailable(method, "ServiceUnavailable")

        broken.setattr(part, method, fail)
        first = posthorn.dispatch(records)

    second = posthorn.dispatch(records)

    assert first == {records[0]["dynamodb"]["SequenceNumber"]}
    assert second == set()
    row = posthorn.row(DeliveryKey(webhook["id"], event_id))
    dead_letters = posthorn.waiting("DispatchDeadLetterQueue")
    assert (row is not None and row.status is Status.DELIVERED) != (len(dead_letters) == 1)


def test_an_event_without_a_matching_endpoint_is_done(posthorn: Installation) -> None:
    """Without a matching endpoint there is no POST, no row and no failure."""
    event_id = posthorn.publish()

    assert posthorn.dispatch() == set()
    assert posthorn.call("GET", f"/v1/events/{event_id}").body["event"]["deliveries"] == []


def test_a_receiver_that_never_answers_is_retried(posthorn: Installation) -> None:
    """A timeout is recorded with its error and waits for the first retry."""
    webhook = posthorn.register()
    posthorn.network.receivers["hooks.example.com"] = fails(Failure.TIMEOUT)
    event_id = posthorn.publish()

    posthorn.dispatch()

    row = posthorn.row(DeliveryKey(webhook["id"], event_id))
    assert row is not None
    assert row.status is Status.RETRYING
    assert row.attempts[0].outcome.failure is Failure.TIMEOUT
    assert [message.delay for message in posthorn.waiting("Retry1MinQueue")] == [60]


def _swap_secret(posthorn: Installation, webhook_id: str, other_id: str) -> None:
    """Give a webhook the encrypted secret of another, which KMS decrypts for that other one only."""
    endpoints = posthorn.services.endpoints
    mine, other = endpoints.get(posthorn.workspace, webhook_id), endpoints.get(posthorn.workspace, other_id)
    assert mine is not None
    assert other is not None
    changed = replace(mine, secret=other.secret, revision=mine.revision + 1)
    assert endpoints.replace(mine, changed, posthorn.services.limits)


@contextmanager
def _counted_calls() -> Iterator[list[str]]:
    """Collect the names of the AWS calls made inside the block."""
    calls: list[str] = []

    def note(model: Any, **_: object) -> None:
        calls.append(model.name)

    with (
        listening("dynamodb", "before-call", note),
        listening("sqs", "before-call", note),
        listening("kms", "before-call", note),
    ):
        yield calls
