"""A topic of the operator that takes notices, with a queue that holds what was published."""

from __future__ import annotations

import json
from typing import Any, Final

from moto.sqs.models import sqs_backends

from posthorn.aws import clients
from tests.template import ACCOUNT, REGION

_NAME: Final = "operators-notices"
NOTICE_TOPIC: Final = f"arn:aws:sns:{REGION}:{ACCOUNT}:{_NAME}"


def create_notice_queue() -> None:
    """Create the topic, and the queue that is subscribed to it."""
    sns = clients.client("sns")
    assert sns.create_topic(Name=_NAME)["TopicArn"] == NOTICE_TOPIC
    clients.client("sqs").create_queue(QueueName=_NAME)
    sns.subscribe(TopicArn=NOTICE_TOPIC, Protocol="sqs", Endpoint=f"arn:aws:sqs:{REGION}:{ACCOUNT}:{_NAME}")


def taken_envelopes() -> list[dict[str, Any]]:
    """Remove and return what was published, as SNS passes it to a queue."""
    messages: Any = sqs_backends[ACCOUNT][REGION].queues[_NAME]._messages
    found = [json.loads(message.body) for message in messages]
    messages.clear()
    return found


def taken_notices() -> list[dict[str, Any]]:
    """Remove and return the notices that were published."""
    return [json.loads(one["Message"]) for one in taken_envelopes()]
