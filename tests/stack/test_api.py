"""The HTTP API: how a request reaches its function, and what the access log contains."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest

from tests.stack.breakages import broken_by
from tests.template import Template, holds, resolve

API_GATEWAY_SECONDS = 30  # an HTTP API times out its integration after that

KNOWN = {"ApiFunction.Arn": "the function", "ApiSnapshotFunction.Alias": "its snapshots"}


@broken_by(
    ("StageName: $default", "StageName: v1"),
    ("AutoDeploy: true", "AutoDeploy: false"),
    ("RouteKey: $default", "RouteKey: ANY /v1/{path+}"),
    ('PayloadFormatVersion: "2.0"', 'PayloadFormatVersion: "1.0"'),
    ("      RouteKey: $default", "      RouteKey: $default\n      AuthorizationType: AWS_IAM"),
)
def test_every_request_reaches_the_function(stack: Template) -> None:
    """Every path after the host takes the one route, with payload format 2.0, which the code reads."""
    ours = {"ApiId": {"Ref": "Api"}}
    assert part(stack, "Api")["ProtocolType"] == "HTTP"
    assert part(stack, "ApiStage").items() >= {**ours, "StageName": "$default", "AutoDeploy": True}.items()
    to_the_integration = {"RouteKey": "$default", "Target": {"Fn::Sub": "integrations/${ApiIntegration}"}}
    assert part(stack, "ApiRoute") == ours | to_the_integration
    integration = part(stack, "ApiIntegration")
    assert integration["ApiId"] == ours["ApiId"]
    assert (integration["IntegrationType"], integration["PayloadFormatVersion"]) == ("AWS_PROXY", "2.0")


@broken_by(
    ("[0, [!Ref ApiSnapshotFunction.Alias,", "[1, [!Ref ApiSnapshotFunction.Alias,"),
    ("        - !GetAtt ApiFunction.Arn\n", "        - !Ref ApiSnapshotFunction.Alias\n"),
)
def test_the_function_with_snapshots_is_called_if_they_are_wanted(stack: Template) -> None:
    """A parameter selects which of the two functions the API calls."""
    uri = part(stack, "ApiIntegration")["IntegrationUri"]
    assert resolve(uri, stack.defaults | KNOWN) == "the function"
    assert resolve(uri, stack.defaults | {"ApiSnapStart": "true"} | KNOWN) == "its snapshots"


@broken_by(
    ("    DependsOn: ApiPermission", "    DependsOn: ApiStage"),
    (", !Ref ApiSnapshotPermission]]", "]]"),
    (
        "    Condition: ApiSnapshots\n    Properties:\n      <<: *OnlyTheApi",
        "    Properties:\n      <<: *OnlyTheApi",
    ),
    ("  ApiPermission:\n    Type", "  ApiPermission:\n    Condition: SimulatedMail\n    Type"),
)
def test_permissions_precede_the_integration(stack: Template) -> None:
    """Both permissions exist before the integration; the plain function keeps its own in either case."""
    assert stack.resources["ApiIntegration"]["DependsOn"] == "ApiPermission"
    assert '{"Ref": "ApiSnapshotPermission"}' in json.dumps(part(stack, "ApiIntegration")["IntegrationUri"])
    assert "Condition" not in stack.resources["ApiPermission"]
    assert stack.resources["ApiSnapshotPermission"]["Condition"] == "ApiSnapshots"


@broken_by(
    ("Timeout: 29", "Timeout: 30"),
    ("IntegrationType: AWS_PROXY", "IntegrationType: AWS_PROXY\n      TimeoutInMillis: 5000"),
)
def test_the_api_answers_before_api_gateway_gives_up(stack: Template) -> None:
    """ApiFunction times out before the HTTP API's 30 s, so a slow request is our error and not AWS's 503."""
    patience = part(stack, "ApiIntegration").get("TimeoutInMillis", API_GATEWAY_SECONDS * 1000)
    assert stack.functions["ApiFunction"]["Timeout"] * 1000 < patience


@broken_by(
    ('"status":"$context.status"', '"status":$context.status'),
    ("$context.httpMethod $context.path", "$context.httpMethod $context.routeKey"),
    (',"error":"$context.integrationErrorMessage"', ""),
    (
        '"ms":"$context.responseLatency"',
        '"ms":"$context.responseLatency","key":"$context.authorizer.key"',
    ),
)
def test_the_access_log_has_the_request_and_nothing_confidential(stack: Template) -> None:
    """A line is JSON, even with missing values, and holds no query, header or body."""
    line = part(stack, "ApiStage")["AccessLogSettings"]["Format"]
    variable = re.compile(r"\$context\.([A-Za-z]+(?:\.[A-Za-z]+)*)")
    assert sorted(variable.findall(line)) == [
        "httpMethod",
        "identity.sourceIp",
        "integrationErrorMessage",
        "path",
        "requestId",
        "responseLatency",
        "status",
    ]
    missing = json.loads(variable.sub("-", line))
    assert missing == {"id": "-", "ip": "-", "route": "- -", "status": "-", "ms": "-", "error": "-"}


@broken_by(
    ("      DisableExecuteApiEndpoint: !Ref DisableExecuteApiEndpoint\n", ""),
    ('Assert: !Not [!Equals [!Ref ApiDomainNames, ""]]', 'Assert: !Equals [!Ref ApiDomainNames, ""]'),
)
def test_the_apis_own_host_is_turned_off_only_beside_a_custom_domain(stack: Template) -> None:
    """A parameter turns it off, and CloudFormation refuses that without a custom domain."""
    assert part(stack, "Api")["DisableExecuteApiEndpoint"] == {"Ref": "DisableExecuteApiEndpoint"}
    rule = stack.data["Rules"]["SomeHostIsLeft"]
    (asserted,) = rule["Assertions"]
    off = stack.defaults | {"DisableExecuteApiEndpoint": "true"}
    assert holds(rule["RuleCondition"], off)
    assert not holds(rule["RuleCondition"], stack.defaults)
    assert not holds(asserted["Assert"], off)
    assert holds(asserted["Assert"], off | {"ApiDomainNames": "api.example.com"})


@broken_by(
    ("!If [PlainApiReserved,", "!If [ApiReserved,"),
    ("!If [ApiReserved,", "!If [PlainApiReserved,"),
    ("  ApiReserved: !Not [!Equals", "  ApiReserved: !Or [!Equals [a, a], !Equals"),
    snapshots="true",
)
@pytest.mark.parametrize("snapshots", ["true", "false"])
def test_only_the_function_that_is_called_reserves_concurrency(stack: Template, snapshots: str) -> None:
    """A reservation is taken from the account, so it is made once, and only if the parameter asks for it."""
    conditions = stack.data["Conditions"]

    def reserved(name: str, known: dict[str, str]) -> object:
        condition, value, otherwise = part(stack, name)["ReservedConcurrentExecutions"]["Fn::If"]
        assert otherwise == {"Ref": "AWS::NoValue"}
        return resolve(value, known) if holds(conditions[condition], known, conditions) else None

    names = ("ApiFunction", "ApiSnapshotFunction")
    chosen = stack.defaults | {"ApiSnapStart": snapshots}
    assert [reserved(name, chosen) for name in names] == [None, None]
    called = reserved(names[snapshots == "true"], chosen | {"ApiReservedConcurrency": "50"})
    other = reserved(names[snapshots == "false"], chosen | {"ApiReservedConcurrency": "50"})
    # with snapshots off, the other function does not exist
    assert (called, other if snapshots == "true" else None) == ("50", None)


def part(stack: Template, name: str) -> dict[str, Any]:
    """Return the properties of a part of the API."""
    properties: dict[str, Any] = stack.resources[name]["Properties"]
    return properties
