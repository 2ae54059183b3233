"""`posthorn check` against the whole template in moto: each finding, and what it tells the operator to do."""

from __future__ import annotations

import re
import socket
from typing import Final

import boto3
import pytest
from moto.cloudformation.models import cloudformation_backends

from posthorn_cli.check import command
from posthorn_cli.check.command import CHECKS
from posthorn_cli.installed import Installed
from tests.checks import PRODUCTION, commands_look_at, only_problem, run_check
from tests.commands import run
from tests.deployed_stack import DeployedStack, deployed
from tests.template import ACCOUNT, REGION, ROOT, load


@pytest.mark.usefixtures("stack")
def test_a_stack_as_it_should_be_is_ok(capsys: pytest.CaptureFixture[str]) -> None:
    """One line for each check, as text and as JSON, and status 0."""
    text, document = run(capsys, "check"), run_check(capsys)

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

    status, text = only_problem(run_check(capsys, "api"))

    assert status == "fail"
    assert says in text


@pytest.mark.usefixtures("stack")
def test_an_api_that_cannot_be_reached_fails(capsys: pytest.CaptureFixture[str]) -> None:
    """Without an answer, the reason is named."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]

    status, text = only_problem(run_check(capsys, "api", "--api-url", f"http://127.0.0.1:{port}/"))

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

    problem = only_problem(run_check(capsys, "stack"))

    assert problem[0] == status
    assert state in problem[1]


@pytest.mark.usefixtures("api")
def test_a_deploy_without_parameters_has_no_brand_and_no_alarms(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Each brand parameter at its default is named with its value; that there are no alarms is said once."""
    with deployed() as stack:
        commands_look_at(stack, monkeypatch)
        brand, alarms = (only_problem(run_check(capsys, name)) for name in ("brand", "alarms"))
    with deployed(**PRODUCTION | {"BrandUserAgent": load().defaults["BrandUserAgent"]}) as stack:
        monkeypatch.setattr(boto3, "Session", stack.session)
        one = only_problem(run_check(capsys, "brand"))

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
        commands_look_at(stack, monkeypatch)
        done = run_check(capsys)

    assert done.document["status"] == "ok"


def _documented() -> set[str]:
    """Return the IAM actions that the README lists for the command."""
    section = (ROOT / "README.md").read_text("utf-8").partition("### What `posthorn check` looks at")[2]
    return set(re.findall(r"`([a-z0-9]+:[A-Z]\w+)`", section.partition("\n## ")[0]))


def test_the_readme_lists_the_actions_that_it_needs(
    stack: DeployedStack, capsys: pytest.CaptureFixture[str]
) -> None:
    """All of them, and no others: with these the command can look at everything."""
    run_check(capsys)

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

    status, text = only_problem(run_check(capsys, check))

    assert (status, text) == (
        "warn",
        f"Could not look: Needs {action}. Allow {action} for your AWS identity.",
    )


def test_every_check_survives_missing_permissions(
    stack: DeployedStack, capsys: pytest.CaptureFixture[str]
) -> None:
    """An operator who may do nothing but find the stack sees that, check by check."""
    stack.refused |= {*OPERATIONS, "DescribeStream", "GetQueueUrl"}

    done = run_check(capsys)

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

    done = run_check(capsys, "key")

    assert done.status == 1
    assert [one["status"] for one in done.document["findings"]] == ["fail", "warn"]
