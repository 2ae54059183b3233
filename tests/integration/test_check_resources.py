"""`posthorn check`: the key, tables, dead letters, alarms and mail."""

from __future__ import annotations

import json
from typing import Any, Final

import boto3
import pytest
from moto.kms.models import kms_backends
from moto.sns.models import sns_backends

from posthorn_cli.dead_letters import QUEUES
from tests.checks import PRODUCTION, TOPIC, commands_look_at, only_problem, run_check
from tests.deployed_stack import DeployedStack, deployed
from tests.template import ACCOUNT, REGION


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

    problem = only_problem(run_check(capsys, "key"))

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

    assert run_check(capsys, "key").document["status"] == "ok"


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

    problem = only_problem(run_check(capsys, "key"))

    assert problem[0] == status
    assert says in problem[1]


def test_a_table_that_is_not_protected_is_found(
    stack: DeployedStack, capsys: pytest.CaptureFixture[str]
) -> None:
    """One call would delete it; one call protects it. A table that is gone is worse."""
    client, name = stack.client("dynamodb"), stack.physical("EventsTable")
    client.update_table(TableName=name, DeletionProtectionEnabled=False)
    unprotected = only_problem(run_check(capsys, "tables"))
    client.delete_table(TableName=name)
    gone = only_problem(run_check(capsys, "tables"))

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

    status, text = only_problem(run_check(capsys, "tables"))

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

    assert only_problem(run_check(capsys, "dead letters")) == (
        "warn",
        f"2 dead letters wait in {output}. Read why: posthorn dead-letters --stack posthorn --queue {queue}",
    )


def test_a_dead_letter_queue_that_is_gone_is_found(
    stack: DeployedStack, capsys: pytest.CaptureFixture[str]
) -> None:
    """Somebody deleted it by hand."""
    stack.client("sqs").delete_queue(QueueUrl=stack.physical("ReplayDeadLetterQueue"))

    status, text = only_problem(run_check(capsys, "dead letters"))

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

    problem = only_problem(run_check(capsys, "alarms"))

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

    problem = only_problem(run_check(capsys, "mail"))

    assert problem[0] == status
    assert says in problem[1]


@pytest.mark.parametrize("parameters", [{"EmailBackend": "simulator"}, {"Stage": "local"}])
@pytest.mark.usefixtures("api")
def test_ses_does_not_matter_to_the_simulator(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], parameters: dict[str, str]
) -> None:
    """SES is not asked when no mail is sent."""
    with deployed(**PRODUCTION, **parameters) as stack:
        commands_look_at(stack, monkeypatch)
        done = run_check(capsys, "mail")

    assert done.document["status"] == "ok"
    assert "ses:GetAccount" not in stack.called
