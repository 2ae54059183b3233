"""`posthorn check` against the whole template in moto: each finding, and what it tells the operator to do."""

from __future__ import annotations

import io
import json
import re
import socket
import threading
from contextlib import ExitStack
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any, Final
from unittest import mock

import boto3
import pytest
from moto.cloudformation.models import cloudformation_backends
from moto.kms.models import kms_backends
from moto.sns.models import sns_backends

from posthorn_cli.check import command
from posthorn_cli.check.command import CHECKS
from posthorn_cli.check.functions import PROBES
from posthorn_cli.dead_letters import QUEUES
from posthorn_cli.installed import Installed
from tests.commands import run
from tests.deployed_stack import DeployedStack, deployed
from tests.moto_account import listening
from tests.template import ACCOUNT, REGION, ROOT, load

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.commands import Done
    from tests.installation import Installation

TOPIC: Final = f"arn:aws:sns:{REGION}:{ACCOUNT}:alarms"
PRODUCTION: Final = {
    "AlarmTopicArn": TOPIC,
    "BrandHeaderPrefix": "X-Acme",
    "BrandAliasHeader": "",
    "BrandUserAgent": "Acme-Webhooks/1.0",
    "EmailBrandHeaderPrefix": "X-Acme-Mail",
    "EmailBrandUserAgent": "Acme-Mail-Webhooks/1.0",
}


@pytest.fixture
def api() -> Iterator[list[tuple[int, bytes]]]:
    """Serve what an API answers, the last entry to every request, on loopback; the first entry is its URL."""
    answers: list[tuple[int, bytes]] = [(200, b'{"status":"ok"}')]

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            status, body = answers[-1]
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.send_header("Location", "https://elsewhere.example.com/")
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: Any) -> None: ...

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
    with pytest.MonkeyPatch.context() as patched:
        patched.setenv("POSTHORN_API_URL", f"http://127.0.0.1:{server.server_address[1]}")
        patched.setenv("NO_PROXY", "127.0.0.1")
        yield answers
    server.shutdown()
    server.server_close()


@pytest.fixture
def stack(api: list[tuple[int, bytes]], monkeypatch: pytest.MonkeyPatch) -> Iterator[DeployedStack]:
    """Deploy everything as it should be in production, and let commands look at it."""
    assert api
    with deployed(**PRODUCTION) as found:
        _commands_look_at(found, monkeypatch)
        yield found


def _commands_look_at(found: DeployedStack, monkeypatch: pytest.MonkeyPatch) -> None:
    found.client("sns").create_topic(Name="alarms")
    sns_backends[ACCOUNT][REGION].topics[TOPIC].subscriptions_confimed = 1  # moto never counts them
    monkeypatch.setattr(boto3, "Session", found.session)


def _check(capsys: pytest.CaptureFixture[str], only: str | None = None, *options: str) -> Done:
    """Run one check of the command, or all of them."""
    chosen = {name: check for name, check in CHECKS.items() if only in {None, name}}
    with mock.patch.object(command, "CHECKS", chosen):
        return run(capsys, "check", "--json", *options)


def _problem(done: Done) -> tuple[str, str]:
    """Return status and text of the one finding that is not ok, advice included."""
    (found,) = done.document["findings"]
    assert done.status == (found["status"] == "fail")
    assert done.document["status"] == found["status"]
    assert found["advice"]
    return found["status"], f"{found['text']} {found['advice']}"


@pytest.mark.usefixtures("stack")
def test_a_stack_as_it_should_be_is_ok(capsys: pytest.CaptureFixture[str]) -> None:
    """One line for each check, as text and as JSON, and status 0."""
    text, document = run(capsys, "check"), _check(capsys)

    assert [one for one in document.document["findings"] if one["status"] != "ok"] == []
    assert (text.status, document.status) == (0, 0)
    assert [one["check"] for one in document.document["findings"]] == list(CHECKS)
    assert document.document["status"] == "ok"
    assert text.out.splitlines() == [
        f"ok    {one['check']:<12}  {one['text']}" for one in document.document["findings"]
    ]
    assert text.err == document.err == f"{len(CHECKS)} ok, 0 to look at, 0 failed\n"


def test_problems_are_printed_with_their_advice(
    stack: DeployedStack, capsys: pytest.CaptureFixture[str]
) -> None:
    """A failure is status 1; control characters do not reach the terminal."""
    stack.answers["GetAccount"] = lambda _: {"EnforcementStatus": "odd\x1b[31m", "SendingEnabled": False}

    text = run(capsys, "check")

    lines = [line for line in text.out.splitlines() if not line.startswith("ok ")]
    assert text.status == 1
    assert lines == [
        "fail  mail          SES has paused sending.",
        "                    Read why in the SES console, account dashboard, then resume it.",
        "warn  mail          SES reviews this account (odd\N{REPLACEMENT CHARACTER}[31m).",
        "                    Answer the case in the AWS Support Center.",
    ]
    assert text.err == f"{len(CHECKS) - 1} ok, 1 to look at, 1 failed\n"


@pytest.mark.usefixtures("stack")
@pytest.mark.parametrize(
    ("answer", "says"),
    [
        ((500, b'{"message":"Internal Server Error"}'), "answers 500. Read its log: sam logs"),
        ((404, b'{"message":"Not Found"}'), "answers 404, which is not this API. Pass the URL"),
        ((302, b""), "answers 302, which is not this API"),
        ((200, b"<html>"), "answers 200, which is not this API"),
        ((200, b"[" * 100_000), "answers 200, which is not this API"),
    ],
)
def test_an_api_that_does_not_answer_fails(
    api: list[tuple[int, bytes]],
    capsys: pytest.CaptureFixture[str],
    answer: tuple[int, bytes],
    says: str,
) -> None:
    """Its status is named, a redirect is not followed, and another server is not taken for the API."""
    api.append(answer)

    status, text = _problem(_check(capsys, "api"))

    assert status == "fail"
    assert says in text


@pytest.mark.usefixtures("stack")
def test_an_api_that_cannot_be_reached_fails(capsys: pytest.CaptureFixture[str]) -> None:
    """Without an answer, the reason is named."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]

    status, text = _problem(_check(capsys, "api", "--api-url", f"http://127.0.0.1:{port}/"))

    assert (status, text.partition(" Check")[0]) == ("fail", "The API refused the connection (127.0.0.1).")


@pytest.mark.parametrize(
    ("parameters", "expected"),
    [
        ({}, "https://api.example.com"),
        (
            {"DisableExecuteApiEndpoint": "true", "ApiDomainNames": "a.example.com,b.example.com"},
            "https://a.example.com",
        ),
        (
            {"DisableExecuteApiEndpoint": "false", "ApiDomainNames": "a.example.com"},
            "https://api.example.com",
        ),
    ],
)
def test_the_api_is_called_where_it_answers(parameters: dict[str, str], expected: str) -> None:
    """If its own host is turned off, the first custom domain is called."""
    place = Installed("s", None, {"ApiUrl": "https://api.example.com"}, parameters=parameters)

    assert command._api_url(place) == expected


@pytest.mark.usefixtures("stack")
@pytest.mark.parametrize(
    ("state", "status"),
    [
        ("UPDATE_ROLLBACK_COMPLETE", "fail"),
        ("ROLLBACK_COMPLETE", "fail"),
        ("UPDATE_FAILED", "fail"),
        ("UPDATE_IN_PROGRESS", "warn"),
    ],
)
def test_a_deploy_that_did_not_succeed_is_found(
    capsys: pytest.CaptureFixture[str], state: str, status: str
) -> None:
    """After a rollback, the stack runs an older version than its operator thinks."""
    (found,) = cloudformation_backends[ACCOUNT][REGION].stacks.values()
    found.status = state

    problem = _problem(_check(capsys, "stack"))

    assert problem[0] == status
    assert state in problem[1]


@pytest.mark.parametrize(
    ("state", "status", "says"),
    [
        (
            {"State": "Failed", "StateReasonCode": "DisallowedByVpcEncryptionControl"},
            "fail",
            "cannot run (Disallowed",
        ),
        (
            {"State": "Active", "LastUpdateStatus": "Failed", "LastUpdateStatusReasonCode": "InvalidRuntime"},
            "fail",
            "The last update of DeliverFunction failed (InvalidRuntime)",
        ),
        ({"State": "Pending"}, "warn", "DeliverFunction is still being updated"),
        (
            {"State": "Active", "LastUpdateStatus": "InProgress"},
            "warn",
            "DeliverFunction is still being updated",
        ),
    ],
)
def test_a_function_that_is_not_active_is_found(
    stack: DeployedStack, capsys: pytest.CaptureFixture[str], state: dict[str, str], status: str, says: str
) -> None:
    """Its state and the reason are named; it is not invoked."""
    name = stack.physical("DeliverFunction")
    invoked: list[str] = []

    def invoke(parameters: Any) -> Any:
        invoked.append(parameters["FunctionName"])
        return {"Payload": io.BytesIO(b"{}")}

    stack.answers["GetFunctionConfiguration"] = lambda asked: (
        state if asked["FunctionName"] == name else {"State": "Active", "LastUpdateStatus": "Successful"}
    )
    stack.answers["Invoke"] = invoke

    problem = _problem(_check(capsys, "functions"))

    assert problem[0] == status
    assert says in problem[1]
    assert name not in invoked
    assert len(invoked) == len(PROBES) - 1


def test_a_function_that_is_gone_is_found(stack: DeployedStack, capsys: pytest.CaptureFixture[str]) -> None:
    """Somebody deleted it by hand."""
    stack.client("lambda").delete_function(FunctionName=stack.physical("SweepFunction"))

    assert _problem(_check(capsys, "functions")) == (
        "fail",
        "SweepFunction does not exist. Deploy the stack again.",
    )


def _error(stack: DeployedStack, function: str, error: str, message: str) -> None:
    """Let a function fail as Lambda reports it."""
    name = stack.physical(function)
    payload = json.dumps({"errorType": error, "errorMessage": message, "stackTrace": []}).encode()

    def invoke(parameters: Any) -> Any:
        failed = parameters["FunctionName"] == name
        return {
            "Payload": io.BytesIO(payload if failed else b"{}"),
            **({"FunctionError": "Unhandled"} if failed else {}),
        }

    stack.answers["Invoke"] = invoke


@pytest.mark.parametrize("function", PROBES)
def test_a_function_that_dies_at_import_is_found(
    stack: DeployedStack, capsys: pytest.CaptureFixture[str], function: str
) -> None:
    """Wheels of another processor: CloudFormation reports success, and nothing else shows it."""
    _error(stack, function, "Runtime.ImportModuleError", "Unable to import module: No module named 'pycurl'")

    status, text = _problem(_check(capsys, "functions"))

    assert status == "fail"
    assert f"{function} dies before it starts: Runtime.ImportModuleError, Unable to import module" in text
    assert "make build ARCHITECTURE=arm64" in text


def test_the_text_of_another_error_is_not_printed(
    stack: DeployedStack, capsys: pytest.CaptureFixture[str]
) -> None:
    """It may hold anything; its type is enough to look for it in the log."""
    _error(stack, "DeliverFunction", "KeyError", "canary")

    done = _check(capsys, "functions")

    assert "DeliverFunction fails for an empty batch (KeyError)." in _problem(done)[1]
    assert "canary" not in done.out + done.err


def test_the_sweeper_is_judged_by_its_metrics(
    stack: DeployedStack, capsys: pytest.CaptureFixture[str]
) -> None:
    """To invoke it would sweep; its schedule does so every five minutes."""
    for function, count in (("SweepFunction", 3), ("ApiFunction", 5)):
        dimensions = [{"Name": "FunctionName", "Value": stack.physical(function)}]
        stack.client("cloudwatch").put_metric_data(
            Namespace="AWS/Lambda",
            MetricData=[{"MetricName": "Errors", "Dimensions": dimensions, "Value": count}],
        )

    status, text = _problem(_check(capsys, "functions"))

    assert status == "warn"
    assert text.startswith("SweepFunction failed 3 times within 15 minutes.")


def test_probes_do_nothing(posthorn: Installation) -> None:
    """The functions answer the events of the check without a call to AWS."""
    called: list[str] = []

    def note(*, model: Any, **_: Any) -> None:
        called.append(model.name)

    with ExitStack() as stacked:
        for service in ("dynamodb", "sqs", "kms", "sns"):
            stacked.enter_context(listening(service, "before-call", note))
        batches: dict[str, Any] = {
            "DispatchFunction": posthorn.dispatch,
            "DeliverFunction": posthorn.deliverer.deliver,
            "FeedbackFunction": posthorn.feedback.take,
            "ReplayFunction": posthorn.replayer.replay,
            "PurgeFunction": partial(posthorn.purger.purge, remaining_ms=lambda: 30_000),
        }
        failed = {name: batches[name](PROBES[name]["Records"]) for name in batches}
        health = posthorn.resolve(dict(PROBES["ApiFunction"]))

    assert PROBES.keys() == {*batches, "ApiFunction"}
    assert set(map(len, failed.values())) == {0}
    assert (health["statusCode"], health["body"]) == (200, '{"status":"ok"}')
    assert called == []


MAPPING: Final = "DeliverFunctionFirstRetry"


@pytest.mark.parametrize(
    ("change", "status", "says"),
    [
        (
            {"State": "Disabled"},
            "fail",
            f"{MAPPING} is disabled: nothing reads Retry1MinQueue. Run: aws lambda update",
        ),
        ({"State": "Updating"}, "warn", f"{MAPPING} is updating."),
        (
            {"LastProcessingResult": "PROBLEM: Function call failed"},
            "fail",
            f"{MAPPING} cannot read Retry1MinQueue (PROBLEM: Function",
        ),
    ],
)
def test_a_queue_that_nobody_reads_is_found(
    stack: DeployedStack, capsys: pytest.CaptureFixture[str], change: dict[str, str], status: str, says: str
) -> None:
    """The mapping, its queue, and how to enable it."""
    uuid = stack.physical(MAPPING)
    arn = f"arn:aws:sqs:{REGION}:{ACCOUNT}:Retry1MinQueue"

    def mapping(asked: Any) -> Any:
        found = {
            "UUID": asked["UUID"],
            "State": "Enabled",
            "EventSourceArn": arn,
            "LastProcessingResult": "OK",
        }
        return found | change if asked["UUID"] == uuid else found

    stack.answers["GetEventSourceMapping"] = mapping

    problem = _problem(_check(capsys, "sources"))

    assert problem[0] == status
    assert problem[1].startswith(says)


def test_a_stream_that_nobody_reads_is_found(
    stack: DeployedStack, capsys: pytest.CaptureFixture[str]
) -> None:
    """A mapping that was disabled or deleted by hand; the table is named by its stream."""
    client = stack.client("lambda")
    client.update_event_source_mapping(UUID=stack.physical("DispatchFunctionAcceptedEvents"), Enabled=False)
    disabled = _problem(_check(capsys, "sources"))
    client.delete_event_source_mapping(UUID=stack.physical("DispatchFunctionAcceptedEvents"))
    deleted = _problem(_check(capsys, "sources"))

    table = stack.physical("EventsTable")
    assert f"DispatchFunctionAcceptedEvents is disabled: nothing reads the stream of {table}." in disabled[1]
    assert deleted == (
        "fail",
        "The event source mapping DispatchFunctionAcceptedEvents does not exist. Deploy the stack again.",
    )


@pytest.mark.parametrize(
    ("total", "free", "reserved", "shards", "status"),
    [
        (1000, 1000, "", 4, "ok"),
        (10, 10, "", 4, "fail"),  # a new account
        (321, 321, "", 4, "fail"),  # 100 + 3 * 50 + 50 + 2 + 2 of queues, 4 * 4 of the stream, one sweep
        (322, 322, "", 4, "warn"),  # one is left for the API
        (420, 420, "", 4, "warn"),
        (421, 421, "", 4, "ok"),
        (421, 421, "", 5, "warn"),
        (1000, 321, "679", 4, "ok"),
        (1000, 320, "680", 4, "warn"),  # the API has its own; deliveries are throttled
        (1000, 421, "", 4, "ok"),  # 581 are reserved by somebody else
        (1000, 300, "", 4, "fail"),
    ],
)
def test_the_concurrency_of_the_account_is_compared_with_the_mappings(
    stack: DeployedStack,
    capsys: pytest.CaptureFixture[str],
    *,
    total: int,
    free: int,
    reserved: str,
    shards: int,
    status: str,
) -> None:
    """New accounts run 10 functions at once; the template's mappings may take 321, and starve the API."""
    limits = {"ConcurrentExecutions": total, "UnreservedConcurrentExecutions": free}
    stack.answers["GetAccountSettings"] = lambda _: {"AccountLimit": limits}
    stack.answers["DescribeStream"] = lambda asked: _stream(asked, shards)
    (made,) = cloudformation_backends[ACCOUNT][REGION].stacks.values()
    made.stack_parameters["ApiReservedConcurrency"] = reserved

    (found,) = _check(capsys, "concurrency").document["findings"]

    assert found["status"] == status
    assert f"may take {305 + 4 * shards}" in found["text"]


def _stream(asked: Any, count: int) -> Any:
    """Describe a stream with closed and open shards, two on each page."""
    closed = [{"SequenceNumberRange": {"StartingSequenceNumber": "1", "EndingSequenceNumber": "2"}}] * 3
    shards = [*closed, *[{"SequenceNumberRange": {"StartingSequenceNumber": "1"}}] * count]
    start = int(asked.get("ExclusiveStartShardId", "0").removeprefix("shardId-"))
    page: dict[str, Any] = {"Shards": shards[start : start + 2]}
    return {
        "StreamDescription": page
        | ({"LastEvaluatedShardId": f"shardId-{start + 2:021d}"} if start + 2 < len(shards) else {})
    }


def test_four_shards_are_assumed_without_the_right_to_count_them(
    stack: DeployedStack, capsys: pytest.CaptureFixture[str]
) -> None:
    """The finding is worth more than its last digit."""
    stack.refused.add("DescribeStream")

    (found,) = _check(capsys, "concurrency").document["findings"]

    assert (found["status"], "may take 321" in found["text"]) == ("ok", True)


def _key_policy(stack: DeployedStack, change: Any) -> None:
    (key,) = kms_backends[ACCOUNT][REGION].keys.values()
    policy = json.loads(key.policy)
    policy["Statement"] = change(policy["Statement"])
    stack.answers["GetKeyPolicy"] = lambda _: {"Policy": json.dumps(policy)}


KEY_CHANGES: Final[dict[str, tuple[Any, str, str]]] = {
    "only a role": (
        lambda found: [found[0] | {"Principal": {"AWS": f"arn:aws:iam::{ACCOUNT}:role/other"}}, found[1]],
        "fail",
        "does not let IAM decide",
    ),
    "another account": (
        lambda found: [found[0] | {"Principal": {"AWS": "arn:aws:iam::999999999999:root"}}, found[1]],
        "fail",
        "does not let IAM decide",
    ),
    "reads only": (
        lambda found: [found[0] | {"Action": ["kms:Describe*", "kms:Decrypt"]}, found[1]],
        "fail",
        "does not let IAM decide",
    ),
    "with a condition": (
        lambda found: [found[0] | {"Condition": {"Bool": {"aws:MultiFactorAuthPresent": "true"}}}, found[1]],
        "fail",
        "does not let IAM decide",
    ),
    "no tables": (lambda found: found[:1], "fail", "does not let DynamoDB use the key"),
    "a denial": (
        lambda found: [*found, {"Effect": "Deny", "Principal": "*", "Action": "kms:*", "Resource": "*"}],
        "warn",
        "denies something",
    ),
}


@pytest.mark.parametrize("change", KEY_CHANGES)
def test_a_key_policy_that_keeps_the_roles_out_is_found(
    stack: DeployedStack, capsys: pytest.CaptureFixture[str], change: str
) -> None:
    """Roles get their rights through IAM, and the tables through DynamoDB; both need the key's policy."""
    made, status, says = KEY_CHANGES[change]
    _key_policy(stack, made)

    problem = _problem(_check(capsys, "key"))

    assert problem[0] == status
    assert says in problem[1]


def test_equivalent_key_policies_are_fine(stack: DeployedStack, capsys: pytest.CaptureFixture[str]) -> None:
    """The account by its number, and actions one by one."""
    _key_policy(
        stack,
        lambda found: [
            found[0] | {"Principal": {"AWS": ["x", ACCOUNT]}, "Action": ["kms:En*", "KMS:decrypt"]},
            found[1],
        ],
    )

    assert _check(capsys, "key").document["status"] == "ok"


def _pending(key: str) -> None:
    boto3.client("kms").schedule_key_deletion(KeyId=key, PendingWindowInDays=7)


@pytest.mark.parametrize(
    ("change", "status", "says"),
    [
        (
            lambda key: boto3.client("kms").disable_key(KeyId=key),
            "fail",
            "is Disabled, so nothing can be signed. Run: aws kms enable-key",
        ),
        (_pending, "fail", "is going to be deleted on 20"),
        (
            lambda key: boto3.client("kms").disable_key_rotation(KeyId=key),
            "warn",
            "is not rotated. Run: aws kms enable-key-rotation",
        ),
    ],
)
def test_a_key_that_is_not_enabled_is_found(
    stack: DeployedStack, capsys: pytest.CaptureFixture[str], change: Any, status: str, says: str
) -> None:
    """Disabled, about to be deleted, not rotated: with the command that mends it."""
    change(stack.physical("SecretsKey"))

    problem = _problem(_check(capsys, "key"))

    assert problem[0] == status
    assert says in problem[1]


def test_a_table_that_is_not_protected_is_found(
    stack: DeployedStack, capsys: pytest.CaptureFixture[str]
) -> None:
    """One call would delete it; one call protects it. A table that is gone is worse."""
    client, name = stack.client("dynamodb"), stack.physical("EventsTable")
    client.update_table(TableName=name, DeletionProtectionEnabled=False)
    unprotected = _problem(_check(capsys, "tables"))
    client.delete_table(TableName=name)
    gone = _problem(_check(capsys, "tables"))

    assert unprotected[0] == "warn"
    assert f"aws dynamodb update-table --table-name {name} --deletion-protection-enabled" in unprotected[1]
    assert (gone[0], gone[1].startswith("EventsTable does not exist.")) == ("fail", True)


def test_a_table_that_is_not_active_is_found(
    stack: DeployedStack, capsys: pytest.CaptureFixture[str]
) -> None:
    """DynamoDB loses access to the key of a table, for example."""
    state = {"TableStatus": "INACCESSIBLE_ENCRYPTION_CREDENTIALS", "DeletionProtectionEnabled": True}
    active = {"TableStatus": "ACTIVE", "DeletionProtectionEnabled": True}
    name = stack.physical("ConfigTable")
    stack.answers["DescribeTable"] = lambda asked: {"Table": state if asked["TableName"] == name else active}

    status, text = _problem(_check(capsys, "tables"))

    assert (status, text.partition(" Read")[0]) == (
        "fail",
        "ConfigTable is INACCESSIBLE_ENCRYPTION_CREDENTIALS.",
    )


@pytest.mark.parametrize(("queue", "output"), QUEUES.items())
def test_dead_letters_are_found(
    stack: DeployedStack, capsys: pytest.CaptureFixture[str], queue: str, output: str
) -> None:
    """Each queue is named with the command that shows why; a message that a command holds counts as well."""
    for _ in range(2):
        stack.client("sqs").send_message(QueueUrl=stack.physical(output), MessageBody="{}")
    stack.client("sqs").receive_message(QueueUrl=stack.physical(output), MaxNumberOfMessages=1)

    assert _problem(_check(capsys, "dead letters")) == (
        "warn",
        f"2 dead letters wait in {output}. Read why: posthorn dead-letters --stack posthorn --queue {queue}",
    )


def test_a_dead_letter_queue_that_is_gone_is_found(
    stack: DeployedStack, capsys: pytest.CaptureFixture[str]
) -> None:
    """Somebody deleted it by hand."""
    stack.client("sqs").delete_queue(QueueUrl=stack.physical("ReplayDeadLetterQueue"))

    status, text = _problem(_check(capsys, "dead letters"))

    assert (status, text) == ("fail", "ReplayDeadLetterQueue does not exist. Deploy the stack again.")


def _nobody(_: DeployedStack) -> None:
    sns_backends[ACCOUNT][REGION].topics[TOPIC].subscriptions_confimed = 0


ALARM_CHANGES: Final[dict[str, tuple[Any, str, str]]] = {
    "no subscription": (_nobody, "warn", "Nobody has a confirmed subscription"),
    "no topic": (lambda stack: stack.client("sns").delete_topic(TopicArn=TOPIC), "fail", "does not exist"),
    "in alarm": (
        lambda stack: stack.client("cloudwatch").set_alarm_state(
            AlarmName=stack.alarms["DispatchAgeAlarm"], StateValue="ALARM", StateReason="late"
        ),
        "warn",
        "DispatchAgeAlarm is in alarm.",
    ),
    "disabled": (
        lambda stack: stack.client("cloudwatch").disable_alarm_actions(
            AlarmNames=[stack.alarms["ApiErrorsAlarm"]]
        ),
        "warn",
        "ApiErrorsAlarm notifies nobody: its actions are disabled.",
    ),
    "deleted": (
        lambda stack: stack.client("cloudwatch").delete_alarms(AlarmNames=[stack.alarms["ApiErrorsAlarm"]]),
        "warn",
        "ApiErrorsAlarm does not exist.",
    ),
}


@pytest.mark.parametrize("change", ALARM_CHANGES)
def test_alarms_that_nobody_hears_are_found(
    stack: DeployedStack, capsys: pytest.CaptureFixture[str], change: str
) -> None:
    """A topic without readers, and alarms that are on, off or gone."""
    make, status, says = ALARM_CHANGES[change]
    make(stack)

    problem = _problem(_check(capsys, "alarms"))

    assert problem[0] == status
    assert says in problem[1]


@pytest.mark.parametrize(
    ("account", "status", "says"),
    [
        ({"ProductionAccessEnabled": False}, "warn", "SES is in the sandbox"),
        ({"SendingEnabled": False}, "fail", "SES has paused sending"),
        ({"EnforcementStatus": "PROBATION"}, "warn", "SES reviews this account (PROBATION)"),
        ({"EnforcementStatus": "SHUTDOWN"}, "fail", "SES reviews this account (SHUTDOWN)"),
    ],
)
def test_an_account_that_may_not_send_mail_is_found(
    stack: DeployedStack, capsys: pytest.CaptureFixture[str], account: dict[str, Any], status: str, says: str
) -> None:
    """The sandbox, a pause, a review."""
    good = stack.answers["GetAccount"]({})
    stack.answers["GetAccount"] = lambda _: good | account

    problem = _problem(_check(capsys, "mail"))

    assert problem[0] == status
    assert says in problem[1]


@pytest.mark.parametrize("parameters", [{"EmailBackend": "simulator"}, {"Stage": "local"}])
@pytest.mark.usefixtures("api")
def test_ses_does_not_matter_to_the_simulator(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], parameters: dict[str, str]
) -> None:
    """SES is not asked when no mail is sent."""
    with deployed(**PRODUCTION, **parameters) as stack:
        _commands_look_at(stack, monkeypatch)
        done = _check(capsys, "mail")

    assert done.document["status"] == "ok"
    assert "ses:GetAccount" not in stack.called


@pytest.mark.usefixtures("api")
def test_a_deploy_without_parameters_has_no_brand_and_no_alarms(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Each brand parameter at its default is named with its value; that there are no alarms is said once."""
    with deployed() as stack:
        _commands_look_at(stack, monkeypatch)
        brand, alarms = (_problem(_check(capsys, name)) for name in ("brand", "alarms"))
    with deployed(**PRODUCTION | {"BrandUserAgent": load().defaults["BrandUserAgent"]}) as stack:
        monkeypatch.setattr(boto3, "Session", stack.session)
        one = _problem(_check(capsys, "brand"))

    defaults = {name: value for name, value in load().defaults.items() if "Brand" in name}
    assert brand[0] == alarms[0] == one[0] == "warn"
    assert [f"{name}={value}" in brand[1] for name, value in defaults.items()] == [True] * 5
    assert [name for name in defaults if f"{name}=" in one[1]] == ["BrandUserAgent"]
    assert alarms[1].startswith("There are no alarms.")


@pytest.mark.usefixtures("api")
def test_stage_local_needs_none_of_this(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """For development, the defaults are right."""
    with deployed(Stage="local") as stack:
        _commands_look_at(stack, monkeypatch)
        done = _check(capsys)

    assert done.document["status"] == "ok"


def _documented() -> set[str]:
    """Return the IAM actions that the README lists for the command."""
    section = (ROOT / "README.md").read_text("utf-8").partition("### What `posthorn check` looks at")[2]
    return set(re.findall(r"`([a-z0-9]+:[A-Z]\w+)`", section.partition("\n## ")[0]))


def test_the_readme_lists_the_actions_that_it_needs(
    stack: DeployedStack, capsys: pytest.CaptureFixture[str]
) -> None:
    """All of them, and no others: with these the command can look at everything."""
    _check(capsys)

    assert stack.called | {"dynamodb:PutItem", "dynamodb:UpdateItem", "dynamodb:DeleteItem"} == _documented()


OPERATIONS: Final = {
    "DescribeKey": ("key", "kms:DescribeKey"),
    "DescribeTable": ("tables", "dynamodb:DescribeTable"),
    "GetAccount": ("mail", "ses:GetAccount"),
    "GetAccountSettings": ("concurrency", "lambda:GetAccountSettings"),
    "GetEventSourceMapping": ("sources", "lambda:GetEventSourceMapping"),
    "GetFunctionConfiguration": ("functions", "lambda:GetFunctionConfiguration"),
    "GetKeyPolicy": ("key", "kms:GetKeyPolicy"),
    "GetKeyRotationStatus": ("key", "kms:GetKeyRotationStatus"),
    "GetMetricStatistics": ("functions", "cloudwatch:GetMetricStatistics"),
    "GetQueueAttributes": ("dead letters", "sqs:GetQueueAttributes"),
    "GetTopicAttributes": ("alarms", "sns:GetTopicAttributes"),
    "DescribeAlarms": ("alarms", "cloudwatch:DescribeAlarms"),
    "Invoke": ("functions", "lambda:InvokeFunction"),
    "ListStackResources": ("sources", "cloudformation:ListStackResources"),
}


@pytest.mark.parametrize("operation", OPERATIONS)
def test_a_missing_permission_is_a_finding(
    stack: DeployedStack, capsys: pytest.CaptureFixture[str], operation: str
) -> None:
    """The action is named, nothing crashes, and it does not count as a failure of the stack."""
    check, action = OPERATIONS[operation]
    stack.refused.add(operation)

    status, text = _problem(_check(capsys, check))

    assert (status, text) == (
        "warn",
        f"Could not look: Needs {action}. Allow {action} for your AWS identity.",
    )


def test_every_check_survives_missing_permissions(
    stack: DeployedStack, capsys: pytest.CaptureFixture[str]
) -> None:
    """An operator who may do nothing but find the stack sees that, check by check."""
    stack.refused |= {*OPERATIONS, "DescribeStream", "GetQueueUrl"}

    done = _check(capsys)

    assert done.status == 0
    assert {
        one["check"] for one in done.document["findings"] if one["text"].startswith("Could not look")
    } == {*CHECKS} - {"stack", "api", "brand"}
    assert done.err == f"3 ok, {len(CHECKS) - 3} to look at, 0 failed\n"


def test_what_was_found_before_a_missing_permission_is_reported(
    stack: DeployedStack, capsys: pytest.CaptureFixture[str]
) -> None:
    """A failure is not hidden by a call that comes later."""
    boto3.client("kms").disable_key(KeyId=stack.physical("SecretsKey"))
    stack.refused.add("GetKeyPolicy")

    done = _check(capsys, "key")

    assert done.status == 1
    assert [one["status"] for one in done.document["findings"]] == ["fail", "warn"]
