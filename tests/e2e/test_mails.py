"""The email side on the real artifact: set, destination, mail, and the events that it causes."""

from __future__ import annotations

import json
import uuid
from collections import Counter
from typing import TYPE_CHECKING, Any, Final

import pytest

from posthorn_cli.access import create_workspace_key
from tests.e2e.customer import TOKEN, Customer, awaited
from tests.e2e.verification import post
from tests.receivers.node import node_receiver
from tests.receivers.recorder import always, in_turn

if TYPE_CHECKING:
    from infra.local.stack import Stack
    from tests.e2e.verification import Receiving

EMAIL: Final = "/api/v1/partner/email"
EVERYTHING: Final = ["send", "delivered", "bounce", "complaint", "open", "click"]


@pytest.fixture
def partner(stack: Stack) -> Customer:
    """Create a workspace whose key has every scope for mails."""
    _, key = create_workspace_key(
        stack.client("dynamodb"),
        stack.outputs["ConfigTableName"],
        workspace_name="partner",
        scopes=["partner"],
    )
    return Customer(stack.api_url, key)


def _destination(partner: Customer, *urls: str, events: list[str] | None = None) -> str:
    """Create the set `production` with a destination for each URL, and return the set's id."""
    status, made = partner.call(
        "POST",
        f"{EMAIL}/configuration-sets",
        {"name": "production", "suppression_options": "BOUNCE_AND_COMPLAINT"},
    )
    assert status == 201, made
    for url in urls:
        status, body = partner.call(
            "POST",
            f"{EMAIL}/configuration-sets/{made['config_set_id']}/event-destinations",
            {
                "name": "production-webhook",
                "destination_type": "WEBHOOK",
                "webhook_url": url,
                "webhook_secret": TOKEN,
                "matching_event_types": events or EVERYTHING,
            },
        )
        assert status == 201, body
    set_id: str = made["config_set_id"]
    return set_id


def _send(partner: Customer, to: str, **fields: Any) -> str:
    mail = {
        "from": "hello@yourcompany.com",
        "to": [to],
        "subject": "Wëlcome 😀",
        "html_body": "<h1>canary</h1>",
        "configuration_set_name": "production",
        **fields,
    }
    status, body = partner.call("POST", f"{EMAIL}/send", mail)
    assert status == 202, body
    message_id: str = body["message_id"]
    assert str(uuid.UUID(message_id)) == message_id
    return message_id


def test_the_published_receiver_accepts_real_events_and_refuses_tampered_ones(
    partner: Customer, receiving: Receiving
) -> None:
    """The published Express example, run by Node, accepts every event and refuses each when changed."""
    with (
        node_receiver("splashify.mjs", env={"SPLASHIFY_WEBHOOK_SECRET": TOKEN}) as example,
        receiving(always(200)) as copy,
    ):
        url = f"{example.url}/webhooks/splashify"
        _destination(partner, url, copy.url)
        message_id = _send(partner, "success@simulator.amazonses.com")

        events = copy.wait_for(2)

        for event in events:
            assert post(url, event.body, event.headers) == 200
            assert post(url, event.body.replace(b"mail", b"meil"), event.headers) == 401
            payload = json.loads(event.body)
            assert payload["mail"]["messageId"] == message_id
            assert event.headers["x-splashify-event"] == payload["eventType"]
        assert {json.loads(event.body)["eventType"] for event in events} == {"Send", "Delivery"}


@pytest.mark.parametrize(
    ("address", "expected"),
    [
        ("bounce@simulator.amazonses.com", ["Send", "Bounce"]),
        ("complaint+label@simulator.amazonses.com", ["Send", "Delivery", "Complaint"]),
    ],
)
def test_every_event_of_a_mail_is_delivered(
    partner: Customer, receiving: Receiving, address: str, expected: list[str]
) -> None:
    """A simulator address causes the events that SES documents, without the operator's account in them."""
    with receiving(always(200)) as receiver:
        _destination(partner, receiver.url)
        _send(partner, address)
        events = receiver.wait_for(len(expected))

    assert Counter(json.loads(event.body)["eventType"] for event in events) == Counter(expected)
    said = b" ".join(event.body for event in events)
    for internal in (b"arn:aws", b"000000000000", b"posthorn", b"ses:", b"sourceArn", b"sendingAccountId"):
        assert internal not in said


def test_an_event_destination_is_retried_like_any_endpoint(partner: Customer, receiving: Receiving) -> None:
    """A destination that fails is retried on the same schedule, each attempt with its own id."""
    with receiving(in_turn(500, 200)) as receiver:
        _destination(partner, receiver.url, events=["send"])
        _send(partner, "success@simulator.amazonses.com")
        first, second = receiver.wait_for(2)

    assert (first.id, first.body) == (second.id, second.body)
    assert first.headers["x-splashify-delivery-id"] != second.headers["x-splashify-delivery-id"]
    assert second.at - first.at >= 2


def test_a_malformed_notification_is_dead_lettered(stack: Stack) -> None:
    """A notification that SES never sends becomes a dead letter with a reason."""
    stack.client("sns").publish(TopicArn=stack.outputs["FeedbackTopicArn"], Message='{"eventType":"Send"}')
    sqs = stack.client("sqs")
    url = sqs.get_queue_url(QueueName=stack.outputs["FeedbackDeadLetterQueueName"])["QueueUrl"]

    def dead_letter() -> dict[str, Any] | None:
        for message in sqs.receive_message(QueueUrl=url).get("Messages", []):
            found: dict[str, Any] = json.loads(message["Body"])
            return found
        return None

    assert awaited(dead_letter)["reason"]


def test_nothing_secret_of_a_mail_was_logged(stack: Stack) -> None:
    """After all of the above, no log holds a secret, an address or a line of a mail."""
    groups = ("ApiLogGroup", "DispatchLogGroup", "DeliverLogGroup", "FeedbackLogGroup")
    lines = "\n".join(line for group in groups for line in stack.log_lines(group))

    assert lines
    for secret in ("canary", TOKEN, "simulator.amazonses.com", "yourcompany"):
        assert secret not in lines
