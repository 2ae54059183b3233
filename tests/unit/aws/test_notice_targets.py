"""Targets of notices, with requests that botocore checks against AWS's own description."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

import boto3
import pytest
from botocore.stub import ANY, Stubber

from posthorn.aws.notice_targets import EventBus, Topic, is_topic
from posthorn.domain.errors import OperatorError, Unavailable

if TYPE_CHECKING:
    from collections.abc import Mapping

TOPIC: Final = "arn:aws:sns:eu-west-1:123456789012:notices"
BUS: Final = "arn:aws:events:eu-west-1:123456789012:event-bus/default"
BODY: Final = json.dumps({"id": "evt_1", "type": "WEBHOOK_DISABLED"})
FIELDS: Final = ("TopicArn", "Subject", "Message", "MessageAttributes")
SESSION: Final = boto3.Session(
    aws_access_key_id="testing", aws_secret_access_key="testing", region_name="eu-west-1"
)


def publish(
    target: Topic | EventBus, *, subject: str = "s", attributes: Mapping[str, str] | None = None
) -> None:
    target.publish("WEBHOOK_DISABLED", BODY, subject=subject, attributes=attributes or {})


def put(answer: dict[str, Any]) -> None:
    """Publish to an event bus that answers like this; fails unless the request is the one expected here."""
    events = SESSION.client("events")
    entry = {"EventBusName": BUS, "Source": "posthorn", "DetailType": "WEBHOOK_DISABLED", "Detail": BODY}
    with Stubber(events) as stubber:
        stubber.add_response("put_events", answer, {"Entries": [entry]})
        publish(EventBus(events, BUS))
        stubber.assert_no_pending_responses()


def test_an_event_bus_gets_an_event() -> None:
    """The request is one that EventBridge accepts, and the notice is its detail."""
    put({"FailedEntryCount": 0, "Entries": [{"EventId": "1"}]})


def test_an_event_that_the_bus_refuses_is_noticed() -> None:
    """EventBridge answers 200 for an event that it did not take."""
    answer = {"FailedEntryCount": 1, "Entries": [{"ErrorCode": "ThrottlingException"}]}
    with pytest.raises(Unavailable, match="put_events: ThrottlingException"):
        put(answer)


@pytest.mark.parametrize(
    ("code", "error"), [("InternalError", Unavailable), ("AuthorizationError", OperatorError)]
)
def test_a_topic_that_refuses_is_noticed(code: str, error: type[Unavailable]) -> None:
    """A missing right is reported as one that an operator must give."""
    sns = SESSION.client("sns")
    with Stubber(sns) as stubber:
        stubber.add_client_error("publish", code, http_status_code=403)
        with pytest.raises(error, match=f"publish: {code}"):
            publish(Topic(sns, TOPIC))


def test_a_long_subject_is_cut() -> None:
    """SNS refuses 100 characters and more; a host may have 253."""
    sns = SESSION.client("sns")
    seen: list[str] = []
    sns.meta.events.register(
        "before-parameter-build.sns.Publish", lambda params, **_: seen.append(params["Subject"])
    )
    with Stubber(sns) as stubber:
        stubber.add_response("publish", {"MessageId": "1"}, dict.fromkeys(FIELDS, ANY))
        publish(Topic(sns, TOPIC), subject="h" * 300)
    assert [len(subject) for subject in seen] == [99]


@pytest.mark.parametrize(("arn", "expected"), [(TOPIC, True), (BUS, False)])
def test_a_topic_is_told_from_a_bus(arn: str, expected: bool) -> None:
    """The service in the ARN decides."""
    assert is_topic(arn) is expected
