"""The simulator with moto's SNS and a queue behind it, and the notifications it sends about a mail."""

from __future__ import annotations

import json
import random
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import boto3
from moto import mock_aws

from posthorn.domain.email_types import by_event_type
from posthorn.email.mail import Mail
from posthorn.email.notifications import notifications
from posthorn.email.simulator import SimulatorBackend

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mypy_boto3_sqs import SQSClient

REGION: Final = "us-east-1"
ACCOUNT: Final = "123456789012"
NOW: Final = 1_777_811_696_000  # 2026-05-03T12:34:56Z

MAIL: Final = Mail(
    message_id="550e8400-e29b-41d4-a716-446655440000",
    workspace="wksp_01H3Z8V6R5N4M3K2J1H0G9F8E8",
    configuration_set="cs_01H3Z8V6R5N4M3K2J1H0G9F8E7",
    sender="Ann <ann@shop.example>",
    to=("bob@mail.example",),
    subject="Grüße ☕",
    html='<link href="https://shop.example/style.css"><p>Grüße, <a class="x" href="https://shop.example/?a=1&amp;b=2">hier</a></p>',
    tags=(("campaign", "spring"),),
)


@dataclass
class Topic:
    """moto's SNS with a queue behind the topic."""

    sqs: SQSClient
    queue: str
    backend: SimulatorBackend
    calls: list[str]

    def bodies(self) -> list[str]:
        """Take all messages from the queue, oldest first."""
        found: list[str] = []
        while messages := self._receive():
            found += messages
        return found

    def told(self) -> list[dict[str, Any]]:
        return [json.loads(body) for body in self.bodies()]

    def _receive(self) -> list[str]:
        answer = self.sqs.receive_message(QueueUrl=self.queue, MaxNumberOfMessages=10)
        return [message["Body"] for message in answer.get("Messages", [])]


@contextmanager
def topic() -> Iterator[Topic]:
    with mock_aws():
        sns, sqs = boto3.client("sns", region_name=REGION), boto3.client("sqs", region_name=REGION)
        arn = sns.create_topic(Name="feedback")["TopicArn"]
        queue = sqs.create_queue(QueueName="feedback")["QueueUrl"]
        sns.subscribe(
            TopicArn=arn,
            Protocol="sqs",
            Endpoint=f"arn:aws:sqs:{REGION}:{ACCOUNT}:feedback",
            Attributes={"RawMessageDelivery": "true"},
        )
        calls: list[str] = []
        sns.meta.events.register("before-call.sns", lambda model, **_: calls.append(model.name))
        random_bytes = random.Random(7).randbytes  # noqa: S311 - seeded, so that every run is the same
        yield Topic(
            sqs,
            queue,
            SimulatorBackend(sns, topic_arn=arn, clock=lambda: NOW, random_bytes=random_bytes),
            calls,
        )


def story(mail: Mail) -> list[dict[str, Any]]:
    """Return the notifications that would be published about a mail, as JSON."""
    random_bytes = random.Random(7).randbytes  # noqa: S311 - as above
    arn = f"arn:aws:sns:{REGION}:{ACCOUNT}:feedback"
    told: list[dict[str, Any]] = json.loads(
        json.dumps(notifications(mail, topic_arn=arn, now_ms=NOW, random_bytes=random_bytes))
    )
    return told


def own(told: dict[str, Any]) -> dict[str, Any]:
    """Return the event-specific object of a notification."""
    kind = by_event_type(told["eventType"])
    assert kind is not None
    found: dict[str, Any] = told[kind.key]
    return found


def whom(told: dict[str, Any]) -> list[str]:
    """Return the recipients that a notification names, apart from those of its mail."""
    found = own(told)
    named = found.get("bouncedRecipients", found.get("complainedRecipients", []))
    return found.get("recipients") or [one["emailAddress"] for one in named]
