"""The main path on the real artifact: register, publish, receive a signed request, see it retried."""

from __future__ import annotations

import json
import threading
from collections import Counter
from contextlib import ExitStack
from itertools import pairwise
from typing import TYPE_CHECKING, Any, Final

import pytest
from cloudevents.core.bindings.http import HTTPMessage, from_structured_event
from cloudevents.core.formats.json import JSONFormat

from posthorn_cli.access import create_workspace_key
from tests.e2e.conftest import SCALED
from tests.e2e.customer import TOKEN, Customer, awaited
from tests.e2e.verification import post
from tests.receivers.node import node_receiver
from tests.receivers.recorder import Recorded, always, in_turn

if TYPE_CHECKING:
    from infra.local.stack import Stack
    from tests.e2e.verification import Receiving

DELAYS: Final = [int(SCALED[name]) for name in ("FirstRetryDelay", "SecondRetryDelay", "ThirdRetryDelay")]
# everything that two languages may write differently in JSON
ODD: Final = (
    '{"b":1,"10":"ten","2":"two","nested":{"list":[1,2.5,{"deep":null}],"empty":{},"none":[]},'
    '"name":"Zoë Ünal 日本語 😀 \\u2028 \\" \\\\ \\/ \\n","floats":[1.0,1e21,0.1,-0.0,5e-324,1e-7,100]}'
)


@pytest.fixture(scope="module")
def customer(stack: Stack) -> Customer:
    _, key = create_workspace_key(
        stack.client("dynamodb"),
        stack.outputs["ConfigTableName"],
        workspace_name="e2e",
        scopes=["publish", "api_user", "user"],
    )
    return Customer(stack.api_url, key)


@pytest.fixture
def lone_customer(stack: Stack) -> Customer:
    """Create a workspace in which no one else subscribes."""
    _, key = create_workspace_key(
        stack.client("dynamodb"),
        stack.outputs["ConfigTableName"],
        workspace_name="e2e",
        scopes=["publish", "api_user", "user"],
    )
    return Customer(stack.api_url, key)


def test_the_published_receiver_accepts_a_real_delivery(
    lone_customer: Customer, receiving: Receiving
) -> None:
    """The published Express example, run by Node, answers 200 to odd data and 401 to tampered data."""
    with (
        node_receiver("smashsend.js", env={"WEBHOOK_TOKEN": TOKEN}) as receiver,
        receiving(always(200)) as copy,
    ):
        lone_customer.register(f"{receiver.url}/webhooks/zootools")
        lone_customer.register(copy.url)
        status, body = lone_customer.call(
            "POST", "/v1/events", b'{"event":"CONTACT_CREATED","data":' + ODD.encode() + b"}"
        )
        assert status == 202, body

        deliveries = lone_customer.settled(body["event"]["id"], deliveries=2)

        assert [delivery["attempts"][-1]["status"] for delivery in deliveries] == [200, 200]
        (delivery,) = copy.recorded
        tampered = delivery.body.replace(b"CONTACT_CREATED", b"CONTACT_DELETED")
        assert post(f"{receiver.url}/webhooks/zootools", delivery.body, delivery.headers) == 200
        assert post(f"{receiver.url}/webhooks/zootools", tampered, delivery.headers) == 401


def test_every_format_is_read_by_its_published_libraries(
    lone_customer: Customer, receiving: Receiving
) -> None:
    """One event in three formats: signed alike, and the CloudEvent is one to the libraries of npm and PyPI."""
    formats = {"event_json": "event", "standard_json": "type", "cloudevents_json": "type"}
    with node_receiver("cloudevents.js", env={}) as cloud, ExitStack() as open_ones:
        lone_customer.register(cloud.url, format="cloudevents_json")
        receivers = {name: open_ones.enter_context(receiving(always(200))) for name in formats}
        webhooks = {
            name: lone_customer.register(receiver.url, format=name) for name, receiver in receivers.items()
        }
        status, body = lone_customer.call(
            "POST", "/v1/events", b'{"event":"CONTACT_CREATED","data":' + ODD.encode() + b"}"
        )
        assert status == 202, body
        event_id = body["event"]["id"]
        deliveries = lone_customer.settled(event_id, deliveries=4)
        report = cloud.report()

    assert [one["attempts"][-1]["status"] for one in deliveries] == [200] * 4
    assert report["event"]["id"] == event_id
    sent = {name: receiver.recorded[0] for name, receiver in receivers.items()}
    for name, key in formats.items():
        payload = json.loads(sent[name].body)
        assert payload[key] == report["event"]["type"] == "CONTACT_CREATED"
        assert payload["data"] == report["event"]["data"]
        _, logged = lone_customer.call("GET", f"/v1/webhooks/{webhooks[name]['id']}/deliveries/{event_id}")
        assert logged["delivery"]["requestBody"].encode() == sent[name].body
        (attempt,) = logged["delivery"]["attempts"]
        assert attempt["request"]["headers"]["Content-Type"] == sent[name].headers["content-type"]
    message = HTTPMessage(sent["cloudevents_json"].headers, sent["cloudevents_json"].body)
    assert from_structured_event(message, JSONFormat()).get_id() == event_id


def test_a_delivery_is_retried_on_schedule_and_verified_each_time(
    customer: Customer, receiving: Receiving
) -> None:
    """500, 503, 500, 200 make four attempts through the three real queues, verified by four libraries."""
    with receiving(in_turn(500, 503, 500, 200)) as receiver:
        webhook = customer.register(receiver.url)
        event_id = customer.publish({"contact": {"name": "Zoë"}})

        (delivery,) = customer.settled(event_id)

        attempts = receiver.recorded
        customer.call("DELETE", f"/v1/webhooks/{webhook['id']}")
    assert delivery["webhookId"] == webhook["id"]
    assert delivery["status"] == "delivered"
    assert [attempt["status"] for attempt in delivery["attempts"]] == [500, 503, 500, 200]
    gaps = [later.at - earlier.at for earlier, later in pairwise(attempts)]
    assert len(gaps) == 3
    assert all(gap >= delay for gap, delay in zip(gaps, DELAYS, strict=True))
    assert {attempt.id for attempt in attempts} == {event_id}
    assert len({attempt.body for attempt in attempts}) == 1
    assert len({attempt.headers["webhook-signature"] for attempt in attempts}) == 4


def test_a_receiver_that_hangs_is_retried_until_the_schedule_is_used_up(
    customer: Customer, receiving: Receiving
) -> None:
    """A receiver that never answers has failed: four attempts, then exhausted."""
    over = threading.Event()

    def hang(_: Recorded) -> int:
        over.wait()
        return 200

    with receiving(hang) as receiver:
        webhook = customer.register(receiver.url)
        event_id = customer.publish()
        (delivery,) = customer.settled(event_id)
        over.set()
        customer.call("DELETE", f"/v1/webhooks/{webhook['id']}")

    assert (delivery["status"], delivery["reason"]) == ("failed", "exhausted")
    assert [attempt["failure"] for attempt in delivery["attempts"]] == ["timeout"] * 4
    assert len(receiver.recorded) == 4


@pytest.mark.parametrize(("status", "reason"), [(404, "rejected"), (307, "redirected"), (410, "rejected")])
def test_a_final_response_is_not_retried(
    lone_customer: Customer, status: int, reason: str, receiving: Receiving
) -> None:
    """4xx and 3xx end a delivery at its first attempt, and 410 disables the webhook."""
    with receiving(always(status)) as receiver:
        webhook = lone_customer.register(receiver.url)
        (delivery,) = lone_customer.settled(lone_customer.publish())

    _, body = lone_customer.call("GET", f"/v1/webhooks/{webhook['id']}")
    assert (delivery["status"], delivery["reason"]) == ("failed", reason)
    assert len(receiver.recorded) == 1
    assert body["webhook"]["enabled"] is (status != 410)
    assert body["webhook"].get("disabledReason") == ("gone" if status == 410 else None)


def test_a_batch_reaches_every_receiver_once(lone_customer: Customer, receiving: Receiving) -> None:
    """A hundred events published together arrive at three receivers once each, though one of them is slow."""
    slow = threading.Event()

    def think(_: Recorded) -> int:
        slow.wait(0.5)  # never set: half a second, each time
        return 200

    with receiving(always(200)) as first, receiving(always(204)) as second, receiving(think) as third:
        for receiver in (first, second, third):
            lone_customer.register(receiver.url)
        events = [{"event": "CONTACT_UPDATED", "data": {"n": number}} for number in range(100)]
        status, body = lone_customer.call("POST", "/v1/events", {"events": events})
        assert status == 202, body
        published = {event["id"] for event in body["events"]}

        settled = [lone_customer.settled(event_id, deliveries=3) for event_id in sorted(published)]

        arrived = [Counter(one.id for one in receiver.recorded) for receiver in (first, second, third)]

    assert all(counts.keys() == published for counts in arrived)
    assert {delivery["status"] for deliveries in settled for delivery in deliveries} == {"delivered"}
    # more than once only if an attempt timed out on a busy machine
    tried = sum(len(delivery["attempts"]) for deliveries in settled for delivery in deliveries)
    assert 300 <= sum(counts.total() for counts in arrived) <= tried


def test_a_malformed_record_is_dead_lettered_and_its_neighbor_is_delivered(
    stack: Stack, lone_customer: Customer, receiving: Receiving
) -> None:
    """A row that is not an event becomes a dead letter with a reason, and the stream continues."""
    table = stack.outputs["EventsTableName"]
    stack.client("dynamodb").put_item(
        TableName=table,
        Item={"pk": {"S": "nobody#0"}, "sk": {"S": "nonsense"}, "data": {"S": "canary-payload"}},
    )
    with receiving(always(200)) as receiver:
        lone_customer.register(receiver.url)
        (delivery,) = lone_customer.settled(lone_customer.publish())

    dead_letter = _dead_letter(stack, "DispatchDeadLetterQueueName", "nonsense")
    assert delivery["status"] == "delivered"
    assert dead_letter["kind"] == "stream-record"
    assert dead_letter["reason"]


def test_a_malformed_message_is_dead_lettered_with_its_reason(stack: Stack) -> None:
    """A malformed message becomes a dead letter, unchanged and with a reason."""
    sqs = stack.client("sqs")
    url = sqs.get_queue_url(QueueName=stack.outputs["DeliverQueueName"])["QueueUrl"]

    sqs.send_message(QueueUrl=url, MessageBody="not for you")

    dead_letter = _dead_letter(stack, "DeliverDeadLetterQueueName", "not for you")
    assert (dead_letter["kind"], dead_letter["body"]) == ("message", "not for you")
    assert dead_letter["reason"] == "the message is not JSON"


def test_bad_requests_get_their_answers_over_http(customer: Customer) -> None:
    """Over HTTP, requests get the same answers as in the tests without a gateway."""
    good = {"event": "CONTACT_CREATED", "data": {}}
    answers = {
        "no key": customer.call("POST", "/v1/events", good, key="nobody"),
        "broken": customer.call("POST", "/v1/events", b"{"),
        "too much": customer.call("POST", "/v1/events", b'{"data": "' + b"x" * 10_000_000 + b'"}'),
        "unknown": customer.call("GET", "/v1/webhooks/wh_00000000000000000000000000"),
        "private": customer.call("POST", "/v1/webhooks", {"url": "gopher://x/", "events": ["*"]}),
    }

    assert {name: status for name, (status, _) in answers.items()} == {
        "no key": 401,
        "broken": 400,
        "too much": 413,
        "unknown": 404,
        "private": 422,
    }
    assert all(body["status"] == status for status, body in answers.values())


def test_nothing_secret_was_logged(stack: Stack, lone_customer: Customer, receiving: Receiving) -> None:
    """After all of the above, no log holds a token, a key, the path of a URL or anything published."""
    with receiving(always(200)) as receiver, receiving(always(404)) as missing:
        for place in (receiver, missing):
            lone_customer.register(f"{place.url}/canary-path?canary=query")
        event_id = lone_customer.publish({"canary-payload": "canary-payload"})
        lone_customer.settled(event_id, deliveries=2)
    groups = ("ApiLogGroup", "DispatchLogGroup", "DeliverLogGroup")

    def logged() -> list[dict[str, Any]] | None:
        """Return the log lines of the rejected attempt, as soon as they exist."""
        lines = [json.loads(line) for line in stack.log_lines("DispatchLogGroup") if event_id in line]
        return lines or None

    (rejected,) = awaited(logged)
    lines = "\n".join(line for group in groups for line in stack.log_lines(group))

    said = (rejected["message"], rejected["http_status"], rejected["reason"])
    assert said == ("delivery.attempted", 404, "rejected")
    assert '"message":"deliveries.attempted"' in lines.replace(" ", "")
    assert "canary" not in lines
    assert lone_customer.key not in lines


def _dead_letter(stack: Stack, output: str, needle: str) -> dict[str, Any]:
    """Return the dead letter that contains the needle, as soon as it exists."""
    sqs = stack.client("sqs")
    url = sqs.get_queue_url(QueueName=stack.outputs[output])["QueueUrl"]

    def ask() -> dict[str, Any] | None:
        messages = sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10).get("Messages", [])
        for message in messages:
            if needle in message["Body"]:
                found: dict[str, Any] = json.loads(message["Body"])
                return found
        return None

    return awaited(ask)
