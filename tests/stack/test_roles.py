"""Roles: one for each function, for Lambda only, with nothing added and a boundary for all."""

from __future__ import annotations

from tests.stack.breakages import broken_by
from tests.stack.roles import role_of
from tests.template import ROLE, Template, holds, target

ALIAS = "ApiSnapshotFunctionAliaslive"  # as SAM names it


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
