"""Permissions: every function's rights on every resource, complete and exact."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING

from botocore import xform_name

from posthorn.domain.ids import WORKSPACE
from posthorn.email.ses import PREFIX
from tests.loading import loaded_modules
from tests.modules import modules
from tests.stack.breakages import broken_by
from tests.stack.roles import listed, resource_of, rights_of, statements_of
from tests.template import QUEUE, ROLE, Template, holds

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.modules import Module

WRITE_LOG = ("logs:CreateLogStream", "logs:PutLogEvents")
READ_STREAM = (
    "dynamodb:DescribeStream",
    "dynamodb:GetRecords",
    "dynamodb:GetShardIterator",
    "dynamodb:ListStreams",
)
READ_QUEUE = ("sqs:ReceiveMessage", "sqs:DeleteMessage", "sqs:GetQueueAttributes")

CONFIG = "ConfigTable.Arn"
EVENTS = "EventsTable.Arn"
DELIVERIES = "DeliveriesTable.Arn"
KEYS = "${ConfigTable.Arn}/index/keys"
WORKSPACES = "${ConfigTable.Arn}/index/workspaces"
TROUBLE = "${ConfigTable.Arn}/index/trouble"
DUE = "${DeliveriesTable.Arn}/index/due"
UNDELIVERED = "${DeliveriesTable.Arn}/index/undelivered"
WORK = {"DeliverQueue.Arn", "Retry1MinQueue.Arn", "Retry5MinQueue.Arn", "Retry15MinQueue.Arn"}

_SES = "arn:${AWS::Partition}:ses:${AWS::Region}:${AWS::AccountId}"
SETS = f"{_SES}:configuration-set/posthorn-${{Stage}}-cs_*"
ANY_SET = f"{_SES}:configuration-set/*"
IDENTITIES = f"{_SES}:identity/*"
TENANTS = f"{_SES}:tenant/posthorn-${{Stage}}-wksp_*"

# The only resources with a wildcard, and why each cannot be named.
WILDCARDS = {
    SETS: "sets are created while the stack runs; their names begin with the backend's prefix",
    ANY_SET: "an identity may have any set as its default, which SES applies to mails without one of ours",
    IDENTITIES: "operators verify senders at any time, and SES refuses unverified ones",
    TENANTS: "tenants are created while the stack runs; their names begin with the backend's prefix",
}

ALLOWED: dict[str, dict[str, set[str]]] = {
    "ApiFunction": {
        **{action: {"ApiLogGroup.Arn"} for action in WRITE_LOG},
        "dynamodb:GetItem": {CONFIG, EVENTS, DELIVERIES},
        "dynamodb:Query": {CONFIG, KEYS, WORKSPACES, TROUBLE, EVENTS, DELIVERIES, UNDELIVERED},
        "dynamodb:PutItem": {CONFIG, EVENTS, DELIVERIES},
        "dynamodb:UpdateItem": {CONFIG, EVENTS, DELIVERIES},
        "dynamodb:DeleteItem": {CONFIG},
        "dynamodb:BatchGetItem": {CONFIG, EVENTS, DELIVERIES},
        "dynamodb:BatchWriteItem": {EVENTS},
        "kms:Encrypt": {"SecretsKey.Arn"},
        "kms:Decrypt": {"SecretsKey.Arn"},
        "ses:CreateConfigurationSet": {SETS},
        "ses:CreateConfigurationSetEventDestination": {SETS},
        "ses:DeleteConfigurationSet": {SETS},
        "ses:PutConfigurationSetSuppressionOptions": {SETS},
        "ses:CreateTenant": {TENANTS},
        "ses:DeleteTenant": {TENANTS},
        "ses:CreateTenantResourceAssociation": {TENANTS, ANY_SET, IDENTITIES},
        "ses:DeleteTenantResourceAssociation": {TENANTS, ANY_SET, IDENTITIES},
        "ses:GetEmailIdentity": {IDENTITIES},
        "ses:SendEmail": {ANY_SET, IDENTITIES},
        "sns:Publish": {"FeedbackTopic"},
        "sqs:SendMessage": WORK | {"ReplayQueue.Arn", "PurgeQueue.Arn"},
    },
    "FeedbackFunction": {
        **{action: {"FeedbackLogGroup.Arn"} for action in WRITE_LOG},
        **{action: {"FeedbackQueue.Arn"} for action in READ_QUEUE},
        "dynamodb:PutItem": {EVENTS},
        "sqs:SendMessage": {"FeedbackDeadLetterQueue.Arn"},
    },
    "DispatchFunction": {
        **{action: {"DispatchLogGroup.Arn"} for action in WRITE_LOG},
        **{action: {"EventsTable.StreamArn"} for action in READ_STREAM},
        "dynamodb:Query": {CONFIG},
        "dynamodb:UpdateItem": {CONFIG, DELIVERIES},
        "dynamodb:BatchGetItem": {DELIVERIES},
        "dynamodb:BatchWriteItem": {DELIVERIES},
        "dynamodb:PutItem": {EVENTS, DELIVERIES},
        "sqs:SendMessage": {"DeliverQueue.Arn", "Retry1MinQueue.Arn", "DispatchDeadLetterQueue.Arn"},
        "kms:Decrypt": {"SecretsKey.Arn"},
    },
    "DeliverFunction": {
        **{action: {"DeliverLogGroup.Arn"} for action in WRITE_LOG},
        **{action: set(WORK) for action in READ_QUEUE},
        "dynamodb:BatchGetItem": {CONFIG, EVENTS},
        "dynamodb:UpdateItem": {CONFIG, DELIVERIES},
        "dynamodb:PutItem": {EVENTS, DELIVERIES},
        "dynamodb:Query": {UNDELIVERED},
        "events:PutEvents": {"NoticeTarget"},  # the target is an event bus,
        "sns:Publish": {"NoticeTarget"},  # or a topic
        "sqs:SendMessage": WORK | {"DeliverDeadLetterQueue.Arn"},
        "kms:Decrypt": {"SecretsKey.Arn"},
    },
    "ReplayFunction": {
        **{action: {"ReplayLogGroup.Arn"} for action in WRITE_LOG},
        **{action: {"ReplayQueue.Arn"} for action in READ_QUEUE},
        "dynamodb:GetItem": {CONFIG},
        "dynamodb:PutItem": {CONFIG, DELIVERIES},
        "dynamodb:Query": {DELIVERIES, UNDELIVERED},
        "dynamodb:BatchGetItem": {EVENTS, DELIVERIES},
        "sqs:SendMessage": {"DeliverQueue.Arn", "ReplayQueue.Arn", "ReplayDeadLetterQueue.Arn"},
    },
    "PurgeFunction": {
        **{action: {"PurgeLogGroup.Arn"} for action in WRITE_LOG},
        **{action: {"PurgeQueue.Arn"} for action in READ_QUEUE},
        "dynamodb:GetItem": {CONFIG},
        "dynamodb:PutItem": {CONFIG},
        "dynamodb:DeleteItem": {CONFIG},
        "dynamodb:Query": {CONFIG, KEYS, EVENTS, DELIVERIES},
        "dynamodb:BatchWriteItem": {CONFIG, EVENTS, DELIVERIES},
        "ses:DeleteConfigurationSet": {SETS},
        "ses:DeleteTenant": {TENANTS},
        "ses:DeleteTenantResourceAssociation": {TENANTS, SETS},
        "sqs:SendMessage": {"PurgeQueue.Arn", "PurgeDeadLetterQueue.Arn"},
    },
    "SweepFunction": {
        **{action: {"SweepLogGroup.Arn"} for action in WRITE_LOG},
        "dynamodb:Query": {DUE},
        "dynamodb:UpdateItem": {DELIVERIES},
        "sqs:SendMessage": set(WORK),
    },
}

KNOWN_AND_NEVER_SENT_TO = {
    ("DispatchFunction", "Retry5MinQueue"): "it makes attempt 1, which attempt 2 follows",
    ("DispatchFunction", "Retry15MinQueue"): "as above",
}

# rights whose name differs from the call's
CALLED_AS = {
    ("ApiFunction", "sns:Publish"): "publish_batch",  # sqs:SendMessage covers send_message_batch, too
    (
        "PurgeFunction",
        "dynamodb:DeleteItem",
    ): "transact_write_items",  # it makes this write inside of them only
}

# modules that a function loads only for work that most of its processes never do
LOADED_LATE = {"DeliverFunction": {"posthorn.aws.notice_targets"}}

# calls that Lambda makes with the function's role before and after our code runs
USED_BY_LAMBDA = {*WRITE_LOG, *READ_STREAM, *READ_QUEUE}


@broken_by(
    (
        "Action: [dynamodb:GetItem, dynamodb:Query, dynamodb:PutItem, dynamodb:BatchWriteItem]",
        "Action: [dynamodb:GetItem, dynamodb:Query, dynamodb:PutItem, dynamodb:BatchWriteItem, dynamodb:Scan]",
    ),
    (
        "                  - !GetAtt DispatchDeadLetterQueue.Arn\n",
        "                  - !GetAtt DeliverDeadLetterQueue.Arn\n",
    ),
)
def test_every_function_has_exactly_the_listed_rights(stack: Template) -> None:
    """The roles match the table above, so a new right is a decision and no side effect."""
    assert {name: rights_of(stack, name) for name in stack.functions} == ALLOWED


@broken_by(
    ("                - WithNotices\n", "                - WithAlarms\n"),
    ("WithNotices: !Not [!Equals [!Ref NoticeTarget", "WithNotices: !Not [!Equals [!Ref AlarmTopicArn"),
)
def test_notices_need_no_right_without_a_target(stack: Template) -> None:
    """The right to send notices exists while there is a target, and is for this target only."""
    (policy,) = stack.of_type(ROLE)["DeliverRole"]["Policies"]
    (conditional,) = (one for one in policy["PolicyDocument"]["Statement"] if "Fn::If" in one)
    name, statement, otherwise = conditional["Fn::If"]
    condition = stack.data["Conditions"][name]
    assert statement["Resource"] == {"Ref": "NoticeTarget"}
    assert otherwise == {"Ref": "AWS::NoValue"}
    assert not holds(condition, stack.defaults)
    assert holds(condition, stack.defaults | {"NoticeTarget": "arn:aws:sns:eu-west-1:123456789012:notices"})


@broken_by(
    ("Action: sqs:SendMessage", "Action: sqs:Send*"),
    ("Resource: !GetAtt EventsTable.StreamArn", 'Resource: !Sub "${EventsTable.Arn}/stream/*"'),
    (":configuration-set/posthorn-${Stage}-cs_*", ":configuration-set/*"),
    (":identity/*", ":identity/example.com"),
    (":tenant/posthorn-${Stage}-wksp_*", ":tenant/*"),
)
def test_no_role_holds_a_wildcard(stack: Template) -> None:
    """No action contains a wildcard, and no resource except those above, as written and as translated."""
    for roles in (stack.of_type(ROLE), stack.translated_of_type(ROLE)):
        found = set()
        for name, role in roles.items():
            for statement in statements_of(role):
                assert "*" not in repr(listed(statement["Action"])), name
                found |= {one for one in map(resource_of, listed(statement["Resource"])) if "*" in one}
        assert found == WILDCARDS.keys()


@broken_by(
    (":configuration-set/posthorn-${Stage}-cs_*", ":configuration-set/*"),
    ("Action: ses:SendEmail", "Action: [ses:SendEmail, ses:DeleteConfigurationSet]"),
)
def test_only_the_backends_own_sets_and_tenants_may_be_changed(stack: Template) -> None:
    """The wildcards cover the names that the backend creates, and contain all of its prefix; others are only used."""
    assert TENANTS.removesuffix("*").endswith(f":tenant/{PREFIX}${{Stage}}-{WORKSPACE}_")
    assert SETS.removesuffix("*").endswith(f":configuration-set/{PREFIX}${{Stage}}-cs_")
    rights = rights_of(stack, "ApiFunction")
    assert rights["ses:DeleteConfigurationSet"] == {SETS}
    assert rights["ses:DeleteTenant"] == {TENANTS}
    # these use a set, and change nothing about it
    assert {action for action, resources in rights.items() if ANY_SET in resources} == {
        "ses:SendEmail",
        "ses:CreateTenantResourceAssociation",
        "ses:DeleteTenantResourceAssociation",
    }


@broken_by(
    (":configuration-set/*", ":configuration-set/posthorn-${Stage}-cs_*"),
)
def test_a_mail_may_use_the_default_set_of_its_identity(stack: Template) -> None:
    """SES applies an identity's default set to a mail without one, and requires the right to send with it."""
    assert ANY_SET in rights_of(stack, "ApiFunction")["ses:SendEmail"]


@broken_by(
    ("dynamodb:DeleteItem]", "dynamodb:DeleteItem, dynamodb:Scan]"),
    (
        "Action: sns:Publish\n                Resource: !Ref FeedbackTopic\n              # Decrypt",
        "Action: sns:Subscribe\n                Resource: !Ref FeedbackTopic\n              # Decrypt",
    ),
)
def test_every_right_has_a_caller(stack: Template) -> None:
    """Each action is called by name in the code that the function loads, or by Lambda itself."""
    for name in stack.functions:
        called = {
            node.attr
            for module in code_of(name)
            for node in ast.walk(module.tree)
            if isinstance(node, ast.Attribute)
        }
        actions = rights_of(stack, name).keys() - USED_BY_LAMBDA
        calls = {one: CALLED_AS.get((name, one), xform_name(one.partition(":")[2])) for one in actions}
        assert {action: call for action, call in calls.items() if call not in called} == {}, name


def code_of(function: str) -> Iterator[Module]:
    """Yield our modules that a function may load, including those a snapshot loads in advance."""
    names = LOADED_LATE.get(function, set()).copy()
    for backend in ("ses", "simulator") if function in {"ApiFunction", "PurgeFunction"} else ("",):
        names |= loaded_modules(function, AWS_LAMBDA_INITIALIZATION_TYPE="snap-start", EMAIL_BACKEND=backend)
    return (module for name, module in modules().items() if name in names)


@broken_by(
    ("                  - !GetAtt DispatchDeadLetterQueue.Arn\n", ""),
)
def test_a_function_may_send_to_every_queue_it_knows(stack: Template) -> None:
    """A queue URL in an environment comes with the right to send there, or with a reason why not."""
    without = {
        (function, queue)
        for function in stack.functions
        for value in stack.variables(function).values()
        if isinstance(value, dict) and (queue := value.get("Ref")) in stack.of_type(QUEUE)
        if f"{queue}.Arn" not in rights_of(stack, function).get("sqs:SendMessage", set())
    }
    assert without == KNOWN_AND_NEVER_SENT_TO.keys()
