"""AWS refuses for good: nothing is lost, callers learn no details, and the operator learns all of them."""

from __future__ import annotations

import json
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final
from unittest import mock

import pytest
from botocore.client import BaseClient
from botocore.exceptions import ClientError

from posthorn.aws.secrets import Unsealer
from posthorn.domain.errors import OperatorError
from posthorn.domain.models import DeliveryKey, Status
from tests import ses_examples
from tests.installation import Waiting
from tests.network import answers, in_turn
from tests.sample_requests import SINCE

if TYPE_CHECKING:
    import io
    from collections.abc import Iterator

    from tests.installation import Installation

ARN: Final = "arn:aws:dynamodb:us-east-1:123456789012:table/posthorn-table"
ROLE: Final = "arn:aws:sts::123456789012:assumed-role/posthorn-ApiRole/canary"
GRACE: Final = 600


@contextmanager
def denied(operation: str, action: str) -> Iterator[None]:
    """Let AWS deny every call of an operation, as after a change of a role."""
    once = BaseClient._make_api_call  # type: ignore[attr-defined]  # not in the stubs

    def deny(self: BaseClient, name: str, parameters: Any) -> Any:
        if name != operation:
            return once(self, name, parameters)
        message = f"User: {ROLE} is not authorized to perform: {action} on resource: {ARN} because canary"
        error: Any = {
            "Error": {"Code": "AccessDeniedException", "Message": message},
            "ResponseMetadata": {"HTTPStatusCode": 400},
        }
        raise ClientError(error, name)

    with mock.patch.object(BaseClient, "_make_api_call", deny):
        yield


def refusals(lines: io.StringIO) -> list[tuple[str, str, str]]:
    """Return permission, resource and operation of each refusal that was logged; nothing else of AWS's message was."""
    assert "canary" not in lines.getvalue()
    found = [json.loads(line) for line in lines.getvalue().splitlines()]
    return [
        (line["permission"], line["resource"], line["operation"])
        for line in found
        if line["message"] == "aws.refused" and line["level"] == "ERROR"
    ]


def status_of(posthorn: Installation, key: DeliveryKey) -> Status | None:
    row = posthorn.row(key)
    return None if row is None else row.status


# ---- the API


@dataclass(frozen=True)
class Case:
    """A request, and the AWS call of it that is denied."""

    operation: str
    action: str
    method: str
    path: str
    body: Any = None


CASES: Final = (
    Case("GetItem", "dynamodb:GetItem", "GET", "/v1/webhooks"),  # the API key
    Case("PutItem", "dynamodb:PutItem", "POST", "/v1/events", {"event": "CONTACT_CREATED", "data": {}}),
    Case("BatchGetItem", "dynamodb:BatchGetItem", "GET", "/v1/events/{event}"),
    Case(
        "Encrypt", "kms:Encrypt", "POST", "/v1/webhooks", {"url": "https://new.example.com/", "events": ["*"]}
    ),
)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.action)
def test_a_caller_learns_that_an_operator_must_act_and_nothing_else(
    posthorn: Installation, log_lines: io.StringIO, case: Case
) -> None:
    """500 without Retry-After, which the API's alarm counts; the permission and the resource are in the log."""
    posthorn.register()
    path = case.path.format(event=posthorn.publish())
    posthorn.services.keyring.forget(posthorn.key[4:16])
    with denied(case.operation, case.action):
        reply = posthorn.call(case.method, path, case.body)

    assert (reply.status, reply.body["code"]) == (500, "operator_error")
    assert "retry-after" not in reply.headers
    for detail in (case.action, ARN, "AccessDenied", "canary", case.operation):
        assert detail not in repr(reply)
    assert (case.action, ARN) in {(permission, resource) for permission, resource, _ in refusals(log_lines)}
    assert posthorn.call("GET", "/v1/webhooks").status == 200


def test_an_outage_still_asks_for_a_retry(posthorn: Installation) -> None:
    """What is not a refusal stays 503 with Retry-After."""
    once = BaseClient._make_api_call  # type: ignore[attr-defined]  # not in the stubs

    def fail(self: BaseClient, name: str, parameters: Any) -> Any:
        if name == "PutItem":
            error: Any = {
                "Error": {"Code": "ThrottlingException"},
                "ResponseMetadata": {"HTTPStatusCode": 400},
            }
            raise ClientError(error, name)
        return once(self, name, parameters)

    with mock.patch.object(BaseClient, "_make_api_call", fail):
        reply = posthorn.call("POST", "/v1/events", {"event": "CONTACT_CREATED", "data": {}})

    assert (reply.status, reply.body["code"], reply.headers["retry-after"]) == (503, "unavailable", "1")


# ---- the functions behind it


@pytest.mark.parametrize(
    ("operation", "action"),
    [
        ("Query", "dynamodb:Query"),  # the channel's endpoints
        ("BatchGetItem", "dynamodb:BatchGetItem"),  # the deliveries that exist
    ],
)
def test_a_record_comes_again_until_the_operator_has_acted(
    posthorn: Installation, log_lines: io.StringIO, operation: str, action: str
) -> None:
    """The stream record fails, which makes DispatchFunction late, and the event is delivered afterwards."""
    webhook = posthorn.register()
    posthorn.network.receivers["hooks.example.com"] = answers(200)
    event_id = posthorn.publish()
    (record,) = posthorn.stream()
    with denied(operation, action):
        failed = posthorn.dispatch([record])
    assert failed == {record["dynamodb"]["SequenceNumber"]}
    assert refusals(log_lines)[0][:2] == (action, ARN)

    assert posthorn.dispatch([record]) == set()
    assert status_of(posthorn, DeliveryKey(webhook["id"], event_id)) is Status.DELIVERED


def test_an_attempt_waits_in_a_queue_until_the_operator_has_acted(
    posthorn: Installation, log_lines: io.StringIO
) -> None:
    """If the row of an attempt is refused, the result waits in DeliverQueue, and nothing is sent again."""
    webhook = posthorn.register()
    posthorn.network.receivers["hooks.example.com"] = answers(200)
    event_id = posthorn.publish()
    with denied("BatchWriteItem", "dynamodb:BatchWriteItem"):
        failed = posthorn.dispatch()
    assert failed == set()
    assert refusals(log_lines)[0][:2] == ("dynamodb:BatchWriteItem", ARN)

    assert posthorn.deliver(posthorn.take("DeliverQueue")) == set()
    assert status_of(posthorn, DeliveryKey(webhook["id"], event_id)) is Status.DELIVERED
    assert len(posthorn.network.received) == 1


@pytest.mark.parametrize(
    ("operation", "action"),
    [
        ("UpdateItem", "dynamodb:UpdateItem"),  # the claim
        ("BatchGetItem", "dynamodb:BatchGetItem"),  # the event and its endpoint
        ("Decrypt", "kms:Decrypt"),  # the signing secret
    ],
)
def test_a_message_comes_again_until_the_operator_has_acted(
    posthorn: Installation, log_lines: io.StringIO, operation: str, action: str
) -> None:
    """The message of a retry is kept, and a message that waits too long fires an alarm."""
    webhook = posthorn.register()
    posthorn.network.receivers["hooks.example.com"] = in_turn(answers(500), answers(200))
    event_id = posthorn.publish()
    posthorn.dispatch()
    (message,) = posthorn.take("Retry1MinQueue")
    posthorn.clock.pass_seconds(60)
    with denied(operation, action), mock.patch.object(Unsealer, "remembered", return_value=None):
        if operation == "Decrypt":
            posthorn.clock.pass_seconds(300)  # the secret is no longer cached
        failed = posthorn.deliver([message])
    assert failed == {message.id}
    assert refusals(log_lines)[0][:2] == (action, ARN)

    posthorn.clock.pass_seconds(180)
    assert posthorn.deliver([message]) == set()
    assert status_of(posthorn, DeliveryKey(webhook["id"], event_id)) is Status.DELIVERED


def test_a_notification_comes_again(posthorn: Installation, log_lines: io.StringIO) -> None:
    """FeedbackFunction keeps its message."""
    message = Waiting(body=json.dumps(ses_examples.example("send")), delay=0, group=None, id="message-1")
    with denied("PutItem", "dynamodb:PutItem"):
        failed = posthorn.notify([message])
    assert (failed, refusals(log_lines)) == ({"message-1"}, [("dynamodb:PutItem", ARN, "put_item")])

    assert posthorn.notify([message]) == set()


@pytest.mark.parametrize(
    ("operation", "action"),
    [("BatchGetItem", "dynamodb:BatchGetItem"), ("SendMessageBatch", "sqs:SendMessage")],
)
def test_a_step_of_a_replay_comes_again(
    posthorn: Installation, log_lines: io.StringIO, operation: str, action: str
) -> None:
    """ReplayFunction keeps the message of its step, and its job ends once the right is back."""
    webhook = posthorn.register()
    posthorn.network.receivers["hooks.example.com"] = answers(404)
    posthorn.publish()
    posthorn.dispatch()
    posthorn.clock.pass_seconds(1)
    path = f"/v1/webhooks/{webhook['id']}/replays"
    replay = posthorn.call("POST", path, {"since": SINCE}).body["replay"]
    (first,) = posthorn.take("ReplayQueue")
    assert posthorn.replay([first]) == set()
    (second,) = posthorn.take("ReplayQueue")
    with denied(operation, action):
        failed = posthorn.replay([second])
    assert failed == {second.id}
    assert refusals(log_lines)[0][:2] == (action, ARN)

    posthorn.replay([second])
    while messages := posthorn.take("ReplayQueue"):
        assert posthorn.replay(messages) == set()
    assert posthorn.call("GET", f"{path}/{replay['id']}").body["replay"]["counts"]["replayed"] == 1


@pytest.mark.parametrize(
    ("operation", "action"),
    [
        ("Query", "dynamodb:Query"),
        ("UpdateItem", "dynamodb:UpdateItem"),
        ("SendMessageBatch", "sqs:SendMessage"),
    ],
)
def test_the_sweep_fails(posthorn: Installation, log_lines: io.StringIO, operation: str, action: str) -> None:
    """SweepFunction has an alarm on errors only, so its run fails, and a later one sends what is overdue."""
    posthorn.register()
    posthorn.network.receivers["hooks.example.com"] = answers(500)
    posthorn.publish()
    posthorn.dispatch()
    posthorn.take("Retry1MinQueue")
    posthorn.clock.pass_seconds(60 + GRACE + 1)
    with denied(operation, action), pytest.raises(OperatorError):
        posthorn.sweep()
    assert refusals(log_lines)[0][:2] == (action, ARN)

    posthorn.clock.pass_seconds(GRACE + 1)
    assert posthorn.sweep().enqueued == 1
