"""The HTTP API: how a request comes to its function, and what is written down of it."""

from __future__ import annotations

import json
import re
from typing import Any

from tests.stack.breakages import broken_by
from tests.template import Template, resolve, target

API_GATEWAY_SECONDS = 30  # an HTTP API gives up on its integration after that

CALLED = {"ApiFunction.Arn": "the function", "ApiSnapshotFunction.Alias": "its snapshots"}


@broken_by(
    ("StageName: $default", "StageName: v1"),
    ("AutoDeploy: true", "AutoDeploy: false"),
    ("RouteKey: $default", "RouteKey: ANY /v1/{path+}"),
    ('PayloadFormatVersion: "2.0"', 'PayloadFormatVersion: "1.0"'),
)
def test_every_request_reaches_the_function(stack: Template) -> None:
    """Any path right behind the host goes the one way there is, as payload format 2.0 that the code reads."""
    stage, route, integration = (part(stack, name) for name in ("ApiStage", "ApiRoute", "ApiIntegration"))
    assert {target(one["ApiId"]) for one in (stage, route, integration)} == {"Api"}
    assert part(stack, "Api")["ProtocolType"] == "HTTP"
    assert (stage["StageName"], stage["AutoDeploy"]) == ("$default", True)
    assert (route["RouteKey"], route["Target"]) == ("$default", {"Fn::Sub": "integrations/${ApiIntegration}"})
    assert (integration["IntegrationType"], integration["PayloadFormatVersion"]) == ("AWS_PROXY", "2.0")


@broken_by(
    (
        "!Ref ApiSnapshotFunction.Alias, !GetAtt ApiFunction.Arn]",
        "!GetAtt ApiFunction.Arn, !Ref ApiSnapshotFunction.Alias]",
    ),
)
def test_the_function_with_snapshots_is_called_if_they_are_wanted(stack: Template) -> None:
    """One parameter says which of the two forms the API calls."""
    uri = part(stack, "ApiIntegration")["IntegrationUri"]
    assert resolve(uri, stack.defaults | CALLED) == "the function"
    assert resolve(uri, stack.defaults | {"ApiSnapStart": "true"} | CALLED) == "its snapshots"


@broken_by(
    ("    DependsOn: ApiPermission", "    DependsOn: ApiStage"),
    ("FunctionName: *CalledByTheApi", "FunctionName: !GetAtt ApiFunction.Arn"),
)
def test_what_is_called_may_be_called_before(stack: Template) -> None:
    """The permission is for what the integration calls, and there first: switching refuses no request."""
    assert part(stack, "ApiPermission")["FunctionName"] == part(stack, "ApiIntegration")["IntegrationUri"]
    assert stack.resources["ApiIntegration"]["DependsOn"] == "ApiPermission"


@broken_by(
    ("Timeout: 29", "Timeout: 30"),
)
def test_the_api_answers_before_api_gateway_gives_up(stack: Template) -> None:
    """ApiFunction ends before the HTTP API's 30 s, so a slow request is our error and not a 503 of AWS."""
    assert stack.functions["ApiFunction"]["Timeout"] < API_GATEWAY_SECONDS


@broken_by(
    ('"status":"$context.status"', '"status":$context.status'),
    ("$context.httpMethod $context.path", "$context.httpMethod $context.routeKey"),
    (
        '"ms":"$context.responseLatency"',
        '"ms":"$context.responseLatency","key":"$context.authorizer.key"',
    ),
)
def test_the_access_log_tells_who_called_what_and_nothing_confidential(stack: Template) -> None:
    """A line is JSON, for a missing value too, and has neither query nor header nor body in it."""
    line = part(stack, "ApiStage")["AccessLogSettings"]["Format"]
    variable = re.compile(r"\$context\.([A-Za-z]+(?:\.[A-Za-z]+)*)")
    assert sorted(variable.findall(line)) == [
        "httpMethod",
        "identity.sourceIp",
        "path",
        "requestId",
        "responseLatency",
        "status",
    ]
    missing = json.loads(variable.sub("-", line))
    assert missing == {"id": "-", "ip": "-", "route": "- -", "status": "-", "ms": "-"}


def part(stack: Template, name: str) -> dict[str, Any]:
    """Return the properties of a part of the API."""
    properties: dict[str, Any] = stack.resources[name]["Properties"]
    return properties
