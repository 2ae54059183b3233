"""Permissions: every function's rights on every resource, complete and exact."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING, Any, cast

from botocore import xform_name
from botocore.exceptions import ClientError

from posthorn.aws.secrets import Sealer, Unsealer
from posthorn.email.ses import PREFIX
from tests.loading import loaded_modules
from tests.modules import modules
from tests.stack.breakages import broken_by
from tests.template import KEY, QUEUE, ROLE, Json, Template, holds, target

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
DUE = "${DeliveriesTable.Arn}/index/due"
UNDELIVERED = "${DeliveriesTable.Arn}/index/undelivered"
WORK = {"DeliverQueue.Arn", "Retry1MinQueue.Arn", "Retry5MinQueue.Arn", "Retry15MinQueue.Arn"}

_SES = "arn:${AWS::Partition}:ses:${AWS::Region}:${AWS::AccountId}"
SETS = f"{_SES}:configuration-set/posthorn-${{Stage}}-cs_*"
IDENTITIES = f"{_SES}:identity/*"

# The only resources with a wildcard, and why each cannot be named.
WILDCARDS = {
    SETS: "sets are created while the stack runs; their names begin with the backend's prefix",
    IDENTITIES: "operators verify senders at any time, and SES refuses unverified ones",
}

ALLOWED: dict[str, dict[str, set[str]]] = {
    "ApiFunction": {
        **{action: {"ApiLogGroup.Arn"} for action in WRITE_LOG},
        "dynamodb:GetItem": {CONFIG, EVENTS, DELIVERIES},
        "dynamodb:Query": {CONFIG, KEYS, EVENTS, DELIVERIES, UNDELIVERED},
        "dynamodb:PutItem": {CONFIG, EVENTS, DELIVERIES},
        "dynamodb:UpdateItem": {CONFIG, DELIVERIES},
        "dynamodb:DeleteItem": {CONFIG},
        "dynamodb:BatchGetItem": {DELIVERIES},
        "dynamodb:BatchWriteItem": {EVENTS},
        "kms:Encrypt": {"SecretsKey.Arn"},
        "kms:Decrypt": {"SecretsKey.Arn"},
        "ses:CreateConfigurationSet": {SETS},
        "ses:CreateConfigurationSetEventDestination": {SETS},
        "ses:DeleteConfigurationSet": {SETS},
        "ses:PutConfigurationSetSuppressionOptions": {SETS},
        "ses:SendEmail": {SETS, IDENTITIES},
        "sns:Publish": {"FeedbackTopic"},
        "sqs:SendMessage": WORK | {"ReplayQueue.Arn"},
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
        "dynamodb:PutItem": {EVENTS},
        "dynamodb:Query": {UNDELIVERED},
        "sqs:SendMessage": (WORK - {"DeliverQueue.Arn"}) | {"DeliverDeadLetterQueue.Arn"},
        "kms:Decrypt": {"SecretsKey.Arn"},
    },
    "ReplayFunction": {
        **{action: {"ReplayLogGroup.Arn"} for action in WRITE_LOG},
        **{action: {"ReplayQueue.Arn"} for action in READ_QUEUE},
        "dynamodb:GetItem": {CONFIG},
        "dynamodb:PutItem": {CONFIG, DELIVERIES},
        "dynamodb:Query": {DELIVERIES, UNDELIVERED},
        "dynamodb:BatchGetItem": {DELIVERIES},
        "sqs:SendMessage": {"DeliverQueue.Arn", "ReplayQueue.Arn", "ReplayDeadLetterQueue.Arn"},
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
    ("DeliverFunction", "DeliverQueue"): "only first attempts wait there",
}

# rights whose name differs from the call's
CALLED_AS = {"sns:Publish": "publish_batch"}  # sqs:SendMessage covers send_message_batch, too

ALIAS = "ApiSnapshotFunctionAliaslive"  # as SAM names it

# calls that Lambda makes with the function's role before and after our code runs
USED_BY_LAMBDA = {*WRITE_LOG, *READ_STREAM, *READ_QUEUE}

ONLY_FOR_POSTHORN = {"StringEquals": {"kms:EncryptionContext:app": "posthorn"}}


def role_of(stack: Template, function: str) -> str:
    return target(stack.functions[function]["Role"]).removesuffix(".Arn")


def statements_of(role: Json) -> list[Json]:
    return [one for policy in role["Policies"] for one in policy["PolicyDocument"]["Statement"]]


def listed(value: Any) -> list[Any]:
    """Return a value that IAM allows to be one item or a list as a list."""
    return value if isinstance(value, list) else [value]


def rights_of(stack: Template, function: str) -> dict[str, set[str]]:
    """Return the resources of a function's role by action."""
    rights: dict[str, set[str]] = {}
    for statement in statements_of(stack.of_type(ROLE)[role_of(stack, function)]):
        assert statement["Effect"] == "Allow"
        assert statement.keys() <= {"Sid", "Effect", "Action", "Resource", "Condition"}
        for action in listed(statement["Action"]):
            rights.setdefault(action, set()).update(map(resource_of, listed(statement["Resource"])))
    return rights


def resource_of(value: Any) -> str:
    """Return the target of a Ref or GetAtt, and a composed ARN as it is written."""
    match value:
        case {"Fn::Sub": str() as text}:
            return text
        case _:
            return target(value)


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
    ("Action: sqs:SendMessage", "Action: sqs:Send*"),
    ("Resource: !GetAtt EventsTable.StreamArn", 'Resource: !Sub "${EventsTable.Arn}/stream/*"'),
    (":configuration-set/posthorn-${Stage}-cs_*", ":configuration-set/*"),
    (":identity/*", ":identity/example.com"),
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
)
def test_only_the_backends_own_sets_may_be_changed(stack: Template) -> None:
    """The wildcard covers the names that the backend creates, and contains all of its prefix."""
    assert SETS.removesuffix("*").endswith(f":configuration-set/{PREFIX}${{Stage}}-cs_")
    assert rights_of(stack, "ApiFunction")["ses:DeleteConfigurationSet"] == {SETS}


@broken_by(
    ("Role: !GetAtt DeliverRole.Arn", "Role: !GetAtt DispatchRole.Arn"),
    ("Principal: {Service: lambda.amazonaws.com}", 'Principal: {AWS: "*"}'),
)
def test_every_function_has_a_role_of_its_own_that_only_lambda_takes_on(stack: Template) -> None:
    """Roles and functions match one to one, and only the Lambda service can assume a role."""
    assert sorted(role_of(stack, name) for name in stack.functions) == sorted(stack.of_type(ROLE))
    for name, role in stack.of_type(ROLE).items():
        (statement,) = role["AssumeRolePolicyDocument"]["Statement"]
        assert statement == {
            "Effect": "Allow",
            "Principal": {"Service": "lambda.amazonaws.com"},
            "Action": "sts:AssumeRole",
        }, name


@broken_by(
    ("      Role: !GetAtt DeliverRole.Arn\n", ""),
    (
        "      Description: Permissions of DeliverFunction.\n",
        "      ManagedPolicyArns: [!Sub 'arn:${AWS::Partition}:iam::aws:policy/AdministratorAccess']\n",
    ),
)
def test_sam_adds_no_role_and_no_managed_policy(stack: Template) -> None:
    """The translation adds no role, and attaches no policy to ours."""
    translated = stack.translated_of_type(ROLE)
    assert translated.keys() == stack.of_type(ROLE).keys()
    for name, role in translated.items():
        assert not role.get("ManagedPolicyArns"), name
        assert [policy["PolicyName"] for policy in role["Policies"]] == [
            policy["PolicyName"] for policy in stack.of_type(ROLE)[name]["Policies"]
        ]
    kinds = {resource["Type"] for resource in stack.translated["Resources"].values()}
    assert {kind for kind in kinds if kind.startswith("AWS::IAM::")} == {ROLE}


@broken_by(
    ("      Timeout: 29", "      FunctionUrlConfig: {AuthType: NONE}\n      Timeout: 29"),
    ("${Api}/*/*", "*"),
)
def test_only_our_api_and_our_schedule_may_call_a_function(stack: Template) -> None:
    """Our API may call ApiFunction, and our rule SweepFunction; the others have only their mappings."""
    permissions = stack.translated_of_type("AWS::Lambda::Permission")
    assert {one["Action"] for one in permissions.values()} == {"lambda:InvokeFunction"}
    for name, function in (("ApiPermission", "ApiFunction"), ("ApiSnapshotPermission", ALIAS)):
        api = permissions.pop(name)
        assert (target(api["FunctionName"]), api["Principal"]) == (function, "apigateway.amazonaws.com")
        arn = api["SourceArn"]["Fn::Sub"]
        assert arn.endswith(":execute-api:${AWS::Region}:${AWS::AccountId}:${Api}/*/*"), name
    (sweep,) = permissions.values()
    assert (target(sweep["FunctionName"]), sweep["Principal"]) == ("SweepFunction", "events.amazonaws.com")
    (rule,) = stack.translated_of_type("AWS::Events::Rule")
    assert target(sweep["SourceArn"]) == f"{rule}.Arn"
    assert stack.translated_of_type("AWS::Lambda::Url") == {}


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
        calls = {one: CALLED_AS.get(one, xform_name(one.partition(":")[2])) for one in actions}
        assert {action: call for action, call in calls.items() if call not in called} == {}, name


def code_of(function: str) -> Iterator[Module]:
    """Yield our modules that a function may load, including those a snapshot loads in advance."""
    names = set[str]()
    for backend in ("ses", "simulator") if function == "ApiFunction" else ("",):
        names |= loaded_modules(function, AWS_LAMBDA_INITIALIZATION_TYPE="snap-start", EMAIL_BACKEND=backend)
    return (module for name, module in modules().items() if name in names)


class GuardedKms:
    """A KMS that enforces a role's condition and whose ciphertext is the plaintext."""

    def __init__(self, condition: Json) -> None:
        self._condition = condition

    def encrypt(self, **request: Any) -> Json:
        self._check("Encrypt", request["EncryptionContext"])
        return {"CiphertextBlob": request["Plaintext"]}

    def decrypt(self, **request: Any) -> Json:
        self._check("Decrypt", request["EncryptionContext"])
        return {"Plaintext": request["CiphertextBlob"]}

    def _check(self, operation: str, context: dict[str, str]) -> None:
        for name, wanted in self._condition["StringEquals"].items():
            if context.get(name.removeprefix("kms:EncryptionContext:")) != wanted:
                raise ClientError({"Error": {"Code": "AccessDeniedException"}}, operation)


def users_of_the_key(stack: Template) -> dict[str, list[Json]]:
    """Return the statements with rights on a key, by role."""
    found = {
        name: [one for one in statements_of(role) if "kms:" in repr(one["Action"])]
        for name, role in stack.of_type(ROLE).items()
    }
    return {name: statements for name, statements in found.items() if statements}


@broken_by(
    (
        '                    "kms:EncryptionContext:app": posthorn\n',
        '                    "aws:SourceVpc": vpc\n',
    ),
)
def test_every_right_on_the_key_hangs_on_the_encryption_context(stack: Template) -> None:
    """A function can use the key only for what Posthorn itself has encrypted."""
    users = users_of_the_key(stack)
    assert users.keys() == {"ApiRole", "DispatchRole", "DeliverRole"}
    for name, statements in users.items():
        assert [one.get("Condition") for one in statements] == [ONLY_FOR_POSTHORN], name


@broken_by(
    ('"kms:EncryptionContext:app": posthorn', '"kms:EncryptionContext:app": other'),
)
def test_the_code_sends_the_context_that_the_roles_ask_for(stack: Template) -> None:
    """One role's condition allows the encryption, and the same condition allows the decryption."""
    for statements in users_of_the_key(stack).values():
        (condition,) = (one["Condition"] for one in statements)
        kms = cast("Any", GuardedKms(condition))
        sealed = Sealer(kms, "key").seal_system(b"secret", "test")
        assert Unsealer(kms).open_system(sealed, "test") == b"secret"
        assert Sealer(kms, "key").seal("secret", workspace="w", endpoint_id="e", version=1).version == 1


@broken_by(
    ('                "kms:CallerAccount": !Ref AWS::AccountId\n', ""),
)
def test_the_key_policy_is_exactly_this(stack: Template) -> None:
    """The account decides through IAM, and DynamoDB uses the key; there is no other principal."""
    assert stack.of_type(KEY)["SecretsKey"]["KeyPolicy"] == {
        "Version": "2012-10-17",
        "Statement": [
            {
                "Sid": "AccountDecides",
                "Effect": "Allow",
                "Principal": {"AWS": {"Fn::Sub": "arn:${AWS::Partition}:iam::${AWS::AccountId}:root"}},
                "Action": "kms:*",
                "Resource": "*",
            },
            {
                "Sid": "ThroughTheTables",
                "Effect": "Allow",
                "Principal": {"AWS": "*"},
                "Action": [
                    "kms:Encrypt",
                    "kms:Decrypt",
                    "kms:ReEncrypt*",
                    "kms:GenerateDataKey*",
                    "kms:CreateGrant",
                    "kms:DescribeKey",
                ],
                "Resource": "*",
                "Condition": {
                    "StringEquals": {
                        "kms:CallerAccount": {"Ref": "AWS::AccountId"},
                        "kms:ViaService": {"Fn::Sub": "dynamodb.${AWS::Region}.amazonaws.com"},
                    }
                },
            },
        ],
    }


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


@broken_by(
    ("      PermissionsBoundary: *Boundary\n", ""),
    ("&Boundary !If [Bounded,", "&Boundary !If [SimulatedMail,"),
    ("  Bounded: !Not [!Equals", "  Bounded: !Or [!Equals [a, a], !Equals"),
)
def test_a_boundary_limits_every_role(stack: Template) -> None:
    """Roles that SAM generates included, each role has the boundary if the parameter names one."""
    condition = stack.data["Conditions"]["Bounded"]
    assert not holds(condition, stack.defaults)
    assert holds(condition, {**stack.defaults, "PermissionsBoundary": "arn:aws:iam::123456789012:policy/b"})
    expected = {"Fn::If": ["Bounded", {"Ref": "PermissionsBoundary"}, {"Ref": "AWS::NoValue"}]}
    for name, role in stack.translated_of_type(ROLE).items():
        assert role.get("PermissionsBoundary") == expected, name
