"""Each sample event for `sam local invoke` is what its function would really get."""

import hashlib
import json

import pytest

from posthorn.aws.messages import read_message, read_step
from posthorn.aws.purge_queue import read_purge_step
from posthorn.domain.api_key import mint, split
from posthorn.domain.ids import CONFIGURATION_SET, EVENT, REPLAY, WEBHOOK, WORKSPACE, is_id
from posthorn.domain.models import DeliveryKey
from posthorn.domain.purge_job import PurgeStep
from posthorn.email.events import event_of
from posthorn.email.sns import unwrap
from posthorn.stores.events import from_item
from tests.template import ROOT, Json, Template

EVENTS = ROOT / "infra" / "events"
API_SAMPLES = ["api-create-webhook", "api-publish-event"]

# forty zero bytes instead of random ones: a well-formed key that nobody mistakes for a secret
SAMPLE_KEY = mint(bytes(40))


def sample(name: str) -> Json:
    event: Json = json.loads((EVENTS / f"{name}.json").read_text(encoding="utf-8"))
    return event


def test_there_is_a_sample_for_every_function(stack: Template) -> None:
    """A file is named after its handler's module and its content."""
    handlers = {function["Handler"].split(".")[2] for function in stack.functions.values()}
    assert {path.stem.partition("-")[0] for path in EVENTS.glob("*.json")} == handlers


@pytest.mark.parametrize("name", API_SAMPLES)
def test_a_request_has_the_shape_of_an_http_api(name: str) -> None:
    """API samples are payload format 2.0 for the default route, with lower-case headers and a JSON body."""
    event = sample(name)
    http = event["requestContext"]["http"]
    assert event["version"] == "2.0"
    assert event["routeKey"] == event["requestContext"]["routeKey"] == "$default"
    assert (http["method"], http["path"]) == ("POST", event["rawPath"])
    assert event["isBase64Encoded"] is False
    assert all(header == header.lower() for header in event["headers"])
    assert isinstance(json.loads(event["body"]), dict)
    assert event["headers"]["content-length"] == str(len(event["body"].encode()))


@pytest.mark.parametrize("name", API_SAMPLES)
def test_a_request_carries_a_key_that_is_well_formed_and_no_secret(name: str) -> None:
    """Anyone who tries a sample adds this one key to the table; its checksum is right, so it is looked up."""
    assert sample(name)["headers"]["authorization"] == f"Bearer {SAMPLE_KEY}"
    assert split(SAMPLE_KEY)


def test_a_stream_record_holds_a_row_that_can_be_read() -> None:
    """The record is an INSERT of an event under its own key, which passes the mapping's filter."""
    (record,) = sample("dispatch-insert")["Records"]
    image = record["dynamodb"]["NewImage"]
    assert record["eventName"] == "INSERT"
    assert record["dynamodb"]["Keys"] == {name: image[name] for name in ("pk", "sk")}
    event = from_item(image)
    assert is_id(event.id, EVENT)
    assert is_id(event.channel, WORKSPACE)
    assert event.channel == event.workspace
    assert json.loads(event.data) == json.loads(sample("api-publish-event")["body"])["data"]


def test_a_message_asks_for_the_attempt_that_its_queue_is_for() -> None:
    """The message is attempt 2 of the sample event at a webhook, from the first retry queue."""
    (message,) = sample("deliver-retry")["Records"]
    (record,) = sample("dispatch-insert")["Records"]
    event = from_item(record["dynamodb"]["NewImage"])
    task = read_message(message["body"])
    assert is_id(task.key.endpoint_id, WEBHOOK)
    assert task.key == DeliveryKey(task.key.endpoint_id, event.id)
    assert (task.channel, task.generation, task.attempt) == (event.channel, 1, 2)
    assert "-Retry1MinQueue-" in message["eventSourceARN"]
    assert message["attributes"]["MessageGroupId"] == task.key.endpoint_id
    assert message["md5OfBody"] == hashlib.md5(message["body"].encode(), usedforsecurity=False).hexdigest()


def test_a_notification_is_about_a_mail_of_ours() -> None:
    """The message is SES's own JSON, raw from the topic, about a bounce in the sample's workspace."""
    (message,) = sample("feedback-bounce")["Records"]
    (record,) = sample("dispatch-insert")["Records"]
    told = unwrap(message["body"])
    assert isinstance(told, dict)
    event = event_of(told)
    assert event.type == "bounce"
    assert is_id(event.channel, CONFIGURATION_SET)
    assert event.workspace == from_item(record["dynamodb"]["NewImage"]).workspace
    assert "-FeedbackQueue-" in message["eventSourceARN"]
    assert message["md5OfBody"] == hashlib.md5(message["body"].encode(), usedforsecurity=False).hexdigest()


def test_a_step_is_the_first_of_a_replay_of_the_sample_webhook() -> None:
    """The message is the one the API sends, about the webhook of the sample retry."""
    (message,) = sample("replay-step")["Records"]
    (retry,) = sample("deliver-retry")["Records"]
    step = read_step(message["body"])
    assert is_id(step.replay_id, REPLAY)
    assert (step.endpoint_id, step.number) == (read_message(retry["body"]).key.endpoint_id, 1)
    assert "-ReplayQueue-" in message["eventSourceARN"]
    assert message["attributes"]["MessageGroupId"] == step.endpoint_id
    assert message["md5OfBody"] == hashlib.md5(message["body"].encode(), usedforsecurity=False).hexdigest()


def test_a_purge_step_is_the_first_for_the_sample_workspace() -> None:
    """The message is the one the API sends when the sample's workspace is deleted."""
    (message,) = sample("purge-step")["Records"]
    (record,) = sample("dispatch-insert")["Records"]
    step = read_purge_step(message["body"])
    assert step == PurgeStep(from_item(record["dynamodb"]["NewImage"]).workspace, number=1)
    assert "-PurgeQueue-" in message["eventSourceARN"]
    assert message["attributes"]["MessageGroupId"] == step.workspace
    assert message["md5OfBody"] == hashlib.md5(message["body"].encode(), usedforsecurity=False).hexdigest()
