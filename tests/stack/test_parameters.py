"""Parameters: what an operator may set, and what is refused before anything is created."""

import re
from typing import Any

import pytest

from posthorn.domain.email_choices import EmailBackend, SenderIdentities, SesTenants
from posthorn.domain.workspace_limits import MOST, NAMES
from posthorn.settings import Brand, BuiltInEventTypes
from tests.stack.breakages import broken_by
from tests.template import ROOT, Template

# default, minimum and maximum
RANGES: dict[str, tuple[int, int, int]] = {
    "DeliveryMemory": (256, 256, 3008),
    "DispatchLanes": (4, 2, 10),
    "FirstRetryDelay": (60, 1, 900),
    "SecondRetryDelay": (300, 1, 900),
    "ThirdRetryDelay": (900, 1, 900),
    "AttemptDeadline": (10, 1, 15),
    "SweepGrace": (600, 1, 86400),
    "RetentionDays": (30, 1, 365),
    "EndpointLimit": (100, 0, MOST),
    "EndpointsPerHostLimit": (10, 0, MOST),
    "ConfigurationSetLimit": (10, 0, MOST),
    "EventsPerSecondLimit": (0, 0, MOST),
    "DeliveriesPerRequestLimit": (10000, 0, MOST),
    "ReplayLimit": (5, 0, MOST),
    "ReplaysPerEndpointLimit": (1, 0, MOST),
    "TestSendsPerMinuteLimit": (60, 0, MOST),
}

CHOICES: dict[str, tuple[Any, list[Any]]] = {
    "Architecture": ("arm64", ["arm64", "x86_64"]),
    "LogRetentionDays": (14, [1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365]),
    "LogLevel": ("INFO", ["DEBUG", "INFO", "WARN", "ERROR"]),
    "BuiltInEventTypes": ("smashsend", [*BuiltInEventTypes]),
    "EmailBackend": ("by-stage", ["by-stage", *EmailBackend]),
    "SenderIdentities": ("by-stage", ["by-stage", *SenderIdentities]),
    "SesTenants": ("auto", [*SesTenants]),
    "AllowPrivateTargets": ("false", ["true", "false"]),
    "ApiSnapStart": ("false", ["true", "false"]),
    "DisableExecuteApiEndpoint": ("false", ["true", "false"]),
}

TEXTS = {
    "Stage": "prod",
    "BrandHeaderPrefix": Brand().header_prefix,
    "BrandAliasHeader": Brand().alias_header,
    "BrandUserAgent": Brand().user_agent,
    "EmailBrandHeaderPrefix": Brand().email_header_prefix,
    "EmailBrandUserAgent": Brand().email_user_agent,
    "ApiDomainNames": "",
    "ApiReservedConcurrency": "",
    "PermissionsBoundary": "",
    "AlarmTopicArn": "",
    "NoticeTarget": "",
}


@broken_by(
    ("Description: Seconds between the first attempt and the first retry.", "Description: to do"),
)
def test_every_parameter_says_what_it_is_for(stack: Template) -> None:
    """`sam deploy --guided` shows the description, so each parameter has one that is a sentence."""
    for name, parameter in stack.parameters.items():
        assert re.fullmatch(r"[A-Z`].{15,}\.", parameter.get("Description", "")), name


@broken_by(
    ("Parameters: [DeliveryMemory, DispatchLanes]", "Parameters: [DeliveryMemory]"),
    ("Parameters: [DeliveryMemory, DispatchLanes]", "Parameters: [DeliveryMemory, DispatchLanes, Stage]"),
    ("Parameters: [DeliveryMemory, DispatchLanes]", "Parameters: [DeliveryMemory, DispatchLane]"),
)
def test_every_parameter_is_in_one_group(stack: Template) -> None:
    """The console shows each parameter once, below a heading."""
    groups = _interface(stack)["ParameterGroups"]
    assert sorted(name for group in groups for name in group["Parameters"]) == sorted(stack.parameters)
    headings = [group["Label"]["default"] for group in groups]
    assert all(headings)
    assert len(set(headings)) == len(headings)


@broken_by(
    ("      LogLevel: {default: Log level}\n", ""),
    ("LogLevel: {default: Log level}", 'LogLevel: {default: ""}'),
    ("LogLevel: {default: Log level}", "LogLevel: {default: Stage}"),
    ("      LogLevel: {default: Log level}\n", "      LogLevels: {default: Log level}\n"),
)
def test_every_parameter_has_a_label_of_its_own(stack: Template) -> None:
    """The console shows words in place of a parameter's name."""
    labels = {name: label["default"] for name, label in _interface(stack)["ParameterLabels"].items()}
    assert labels.keys() == stack.parameters.keys()
    assert all(labels.values())
    assert len(set(labels.values())) == len(labels)


@broken_by(
    ("    Default: 10\n", ""),
    ("    AllowedPattern: ^[a-z][a-z0-9-]{0,15}$\n", ""),
)
def test_every_parameter_has_a_default_and_a_limit(stack: Template) -> None:
    """A deployment needs no input, and every input is validated; the tables above are complete."""
    assert stack.parameters.keys() == RANGES.keys() | CHOICES.keys() | TEXTS.keys()
    for name, parameter in stack.parameters.items():
        assert "Default" in parameter, name
        assert {"AllowedValues", "AllowedPattern", "MaxValue"} & parameter.keys(), name


@broken_by(
    ("    Default: 60\n", "    Default: 61\n"),
    ("    MaxValue: 900 #", "    MaxValue: 901 #"),
)
def test_numbers_stay_in_their_range(stack: Template) -> None:
    """Retries come after 1, 5 and 15 minutes, and no value exceeds what SQS or Lambda allows."""
    found = {
        name: (one["Default"], one["MinValue"], one["MaxValue"])
        for name, one in stack.parameters.items()
        if "MinValue" in one or "MaxValue" in one
    }
    assert found == RANGES


@broken_by(
    ("    Default: 5 # each adds", "    Default: 6 # each adds"),
)
def test_the_readme_has_each_limit_with_its_default(stack: Template) -> None:
    """The table names the limit as the API does, the parameter, and the number in the template."""
    rows = re.findall(
        r"^\| `(\w+)`.*\| `(\w+Limit)` \| ([\d,]+) \|",
        ROOT.joinpath("README.md").read_text("utf-8"),
        re.MULTILINE,
    )
    found = {parameter: int(default.replace(",", "")) for _, parameter, default in rows}
    assert [name for name, _, _ in rows] == list(NAMES)
    assert found == {name: one["Default"] for name, one in stack.parameters.items() if name.endswith("Limit")}


@broken_by(
    ('Default: "false"', 'Default: "true"'),
)
def test_choices_are_limited_to_valid_values(stack: Template) -> None:
    """Parameters with few valid values list them."""
    found = {
        name: (one["Default"], one["AllowedValues"])
        for name, one in stack.parameters.items()
        if "AllowedValues" in one
    }
    assert found == CHOICES


@broken_by(
    ("Default: X-SMASHSEND", "Default: X-Acme"),
)
def test_texts_have_the_defaults_that_the_code_has(stack: Template) -> None:
    """The template's default brand equals the code's."""
    found = {name: one["Default"] for name, one in stack.parameters.items() if "AllowedPattern" in one}
    assert found == TEXTS


@broken_by(
    ("AllowedPattern: ^[!-~]([ -~]{0,98}[!-~])?$", "AllowedPattern: ^[^x]*$"),
    name="BrandUserAgent",
    taken=["x"],
    refused=["a\r\nHost: b"],
)
@pytest.mark.parametrize(
    ("name", "taken", "refused"),
    [
        (
            "Stage",
            ["prod", "local", "eu-2", "a", "abcdefghijklmnop"],
            ["", "Prod", "2nd", "-a", "a_b", "abcdefghijklmnopq", "a\n"],
        ),
        (
            "BrandHeaderPrefix",
            ["X-SMASHSEND", "Acme", "X-" + "a" * 38],
            ["", "-X", "X Acme", "X:", "X-Ä", "X-" + "a" * 39, "X\r\nY"],
        ),
        (
            "BrandAliasHeader",
            ["", "X-Zootools-Signature", "a" * 60],
            ["X Sig", "X-Sig:", "1-Sig", "a" * 61, "X-Sig\n"],
        ),
        (
            "BrandUserAgent",
            ["SMASHSEND-Webhook/1.0", "x", "Acme Hooks/2 (+https://acme.example)", "a" * 100],
            ["", " a", "a ", "a\r\nHost: b", "ä", "a" * 101],
        ),
        (
            "EmailBrandHeaderPrefix",
            ["X-Splashify", "Acme", "X-" + "a" * 38],
            ["", "-X", "X Acme", "X:", "X-Ä", "X-" + "a" * 39, "X\r\nY"],
        ),
        (
            "ApiDomainNames",
            ["", "api.example.com", "API.example.com,hooks-2.example.co.uk", "xn--bcher-kva.example"],
            [
                "api",
                "api.example.com.",
                "https://api.example.com",
                "api.example.com:8443",
                "a.b c.d",
                "*.example.com",
                "api..com",
                "a.example.com,,b.example.com",
                "a.example.com\n",
                "a" * 64 + ".example.com",
            ],
        ),
        ("ApiReservedConcurrency", ["", "1", "50", "9999"], ["0", "-1", "05", "10000", "1.5", "ten", "5\n"]),
        (
            "PermissionsBoundary",
            [
                "",
                "arn:aws:iam::123456789012:policy/boundary",
                "arn:aws-us-gov:iam::123456789012:policy/teams/hooks/boundary",
                "arn:aws:iam::aws:policy/PowerUserAccess",
            ],
            [
                "boundary",
                "arn:aws:iam::123456789012:role/boundary",
                "arn:aws:iam::1234:policy/boundary",
                "arn:aws:iam::123456789012:policy/",
                "arn:aws:iam::123456789012:policy/boundary\n",
            ],
        ),
        (
            "AlarmTopicArn",
            [
                "",
                "arn:aws:sns:eu-central-1:123456789012:posthorn-alarms",
                "arn:aws-us-gov:sns:us-gov-west-1:123456789012:on_call",
            ],
            [
                "posthorn-alarms",
                "arn:aws:sqs:eu-central-1:123456789012:posthorn-alarms",
                "arn:aws:sns:eu-central-1:123456789012:alarms.fifo",
                "arn:aws:sns:eu-central-1:123456789012:alarms:0a1b2c3d",
                "arn:aws:sns:eu-central-1:1234:alarms",
                " arn:aws:sns:eu-central-1:123456789012:alarms",
            ],
        ),
        (
            "NoticeTarget",
            [
                "",
                "arn:aws:sns:eu-central-1:123456789012:posthorn-notices",
                "arn:aws:events:eu-central-1:123456789012:event-bus/default",
                "arn:aws-cn:events:cn-north-1:123456789012:event-bus/teams/hooks",
            ],
            [
                "posthorn-notices",
                "default",
                "arn:aws:sqs:eu-central-1:123456789012:notices",
                "arn:aws:sns:eu-central-1:123456789012:notices.fifo",
                "arn:aws:sns:eu-central-1:123456789012:notices:0a1b2c3d",
                "arn:aws:events:eu-central-1:123456789012:rule/notices",
                "arn:aws:events:eu-central-1:123456789012:event-bus/",
                "arn:aws:events:eu-central-1:1234:event-bus/default",
                "arn:aws:sns:eu-central-1:123456789012:event-bus/default",
                "arn:aws:events:eu-central-1:123456789012:event-bus/*",
                "arn:aws:sns:eu-central-1:123456789012:notices\n",
            ],
        ),
        (
            "EmailBrandUserAgent",
            ["Splashify-Pro-Webhook/1.0", "x", "a" * 100],
            ["", " a", "a ", "a\r\nHost: b", "ä", "a" * 101],
        ),
    ],
)
def test_patterns_allow_only_valid_header_text(
    stack: Template, name: str, taken: list[str], refused: list[str]
) -> None:
    """Text that ends up in a header or a name can neither break out of it nor be too long."""
    pattern = re.compile(stack.parameters[name]["AllowedPattern"])
    assert [text for text in taken if not pattern.fullmatch(text)] == []
    assert [text for text in refused if pattern.fullmatch(text)] == []


def _interface(stack: Template) -> Any:
    return stack.data["Metadata"]["AWS::CloudFormation::Interface"]
