"""SnapStart: the API starts from snapshots only if a parameter says so, and then from the newest."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

from hypothesis import given
from hypothesis import strategies as st

from tests.stack.breakages import broken_by
from tests.template import FUNCTION, Template, holds, load, resolve

if TYPE_CHECKING:
    from tests.template import Json

FORM = "ApiSnapshotFunction"
LONGEST = 256  # of a version's description; Lambda refuses more
OF_SNAPSHOTS = {
    "SnapStart",
    "AutoPublishAlias",
    "AutoPublishAliasAllProperties",
    "VersionDeletionPolicy",
    "VersionDescription",
}

OF_NO_VERSION = (
    "Tags",
    "ReservedConcurrentExecutions",
)  # properties of a function that its versions do not keep


@broken_by(
    (
        'ApiSnapshots: !Equals [!Ref ApiSnapStart, "true"]',
        'ApiSnapshots: !Equals [!Ref ApiSnapStart, "false"]',
    ),
    ("    Condition: ApiSnapshots\n", ""),
)
def test_nothing_of_it_is_there_by_default(stack: Template) -> None:
    """The function, its version and its alias cost money, and are created only if the parameter is true."""
    condition = stack.data["Conditions"]["ApiSnapshots"]
    assert not holds(condition, stack.defaults)
    assert holds(condition, stack.defaults | {"ApiSnapStart": "true"})
    made = {
        resource["Type"]
        for resource in stack.translated["Resources"].values()
        if resource.get("Condition") == "ApiSnapshots"
    }
    kinds = ("Function", "Version", "Alias", "Permission")
    assert made == {f"AWS::Lambda::{kind}" for kind in kinds}


@broken_by(
    ("<<: *ApiFunction\n", "<<: *ApiFunction\n      Timeout: 10\n"),
)
def test_it_is_the_same_function(stack: Template) -> None:
    """The function with snapshots has the code, environment, role and log group of ApiFunction."""
    plain, form = stack.of_type(FUNCTION)["ApiFunction"], stack.of_type(FUNCTION)[FORM]
    assert form.keys() - plain.keys() == OF_SNAPSHOTS
    differing = OF_SNAPSHOTS | {OF_NO_VERSION[1]}  # only the function that is called reserves concurrency
    same = {name: value for name, value in plain.items() if name not in differing}
    assert {name: value for name, value in form.items() if name not in differing} == same


@broken_by(
    ("SnapStart: {ApplyOn: PublishedVersions}", "SnapStart: {ApplyOn: None}"),
)
def test_the_alias_leads_to_a_version_with_a_snapshot(stack: Template) -> None:
    """Lambda makes snapshots of published versions, and the alias points at the newest."""
    (alias,) = stack.translated_of_type("AWS::Lambda::Alias").values()
    ((name, version),) = stack.translated_of_type("AWS::Lambda::Version").items()
    assert stack.of_type(FUNCTION)[FORM]["SnapStart"] == {"ApplyOn": "PublishedVersions"}
    assert alias["FunctionName"] == version["FunctionName"] == {"Ref": FORM}
    assert alias["FunctionVersion"] == {"Fn::GetAtt": [name, "Version"]}


@broken_by(
    ("VersionDeletionPolicy: Delete", "VersionDeletionPolicy: Retain"),
)
def test_a_version_that_is_no_longer_called_is_deleted(stack: Template) -> None:
    """Each version's snapshot is charged as long as the version exists."""
    (version,) = (
        one for one in stack.translated["Resources"].values() if one["Type"] == "AWS::Lambda::Version"
    )
    assert version["DeletionPolicy"] == version.get("UpdateReplacePolicy", "Delete") == "Delete"


@broken_by(
    (
        "MemorySize: !Ref DeliveryMemory",
        "SnapStart: {ApplyOn: PublishedVersions}\n      MemorySize: 256 #",
    ),
)
def test_no_other_function_has_snapshots(stack: Template) -> None:
    """Functions that make TLS connections with a library of their own must not share a snapshot's state."""
    assert [name for name, one in stack.of_type(FUNCTION).items() if OF_SNAPSHOTS & one.keys()] == [FORM]


@broken_by(
    ("      AutoPublishAliasAllProperties: true\n", ""),
)
def test_a_property_that_changes_makes_a_version(stack: Template) -> None:
    """SAM renames the version if the code's location or a property changes."""
    ((version, _),) = stack.translated_of_type("AWS::Lambda::Version").items()
    for old, new in (("Timeout: 29 ", "Timeout: 28 "), ("SystemLogLevel: WARN", "SystemLogLevel: INFO")):
        other = Template(stack.text.replace(old, new))
        assert other.text != stack.text
        assert version not in other.translated_of_type("AWS::Lambda::Version"), old


@broken_by(
    ("          - !Ref LogLevel\n", ""),
    ("Description: Answers the API and", "Description: !Sub ${SweepGrace} answers the API and"),
    ("          - *EmailBackend\n", "          - !Ref EmailBackend\n"),
    (
        "          - !Ref ApiDomainNames\n",
        "          - !Ref ApiDomainNames\n          - !Ref SweepGrace\n",
    ),
)
def test_a_parameter_that_changes_makes_a_version(stack: Template) -> None:
    """The description, whose change makes a version, has each value that parameters give the function.

    A superfluous value would be as bad as a missing one: Lambda refuses to publish a version of an unchanged
    function.
    """
    (version,) = stack.translated_of_type("AWS::Lambda::Version").values()
    function = stack.translated_of_type("AWS::Lambda::Function")[FORM]
    told: list[Any] = version["Description"]["Fn::Join"][1]
    given = [
        *values_in(
            {name: one for name, one in function.items() if name not in OF_NO_VERSION}, stack.parameters
        )
    ]
    assert sorted(map(json.dumps, told)) == sorted({json.dumps(one) for one in given})


@given(st.data())
def test_the_values_can_be_read_back_from_the_description(data: st.DataObject) -> None:
    """Different sets of values have different descriptions, so each change is seen."""
    stack = load()
    values = {
        name: data.draw(values_of(parameter), label=name) for name, parameter in stack.parameters.items()
    }
    joined = stack.of_type(FUNCTION)[FORM]["VersionDescription"]
    expected = [resolve(one, values) for one in joined["Fn::Join"][1]]
    assert resolve(joined, values).split("\t") == expected


@broken_by(
    ("    Default: SMASHSEND-Webhook/1.0", f"    Default: SMASHSEND-Webhook/1.0 {'and more ' * 5}"),
)
def test_the_description_has_room_for_more_than_the_defaults(stack: Template) -> None:
    """Longer values than the defaults fit; if they do not, CloudFormation refuses them."""
    described = resolve(stack.of_type(FUNCTION)[FORM]["VersionDescription"], stack.defaults)
    assert len(described) <= LONGEST * 0.7


def values_in(value: Any, parameters: dict[str, Json]) -> list[Any]:
    """Return the parts of a function's properties that depend on parameters."""
    match value:
        case {"Ref": name}:
            return [value] if name in parameters else []
        case {"Fn::If": _}:
            return [value]
        case {"Fn::Sub": str() as text} | {"Fn::Sub": [str() as text, *_]}:
            return [value] if parameters.keys() & set(re.findall(r"\$\{(\w+)\}", text)) else []
        case dict():
            return [found for child in value.values() for found in values_in(child, parameters)]
        case list():
            return [found for child in value for found in values_in(child, parameters)]
        case _:
            return []


def values_of(parameter: Json) -> st.SearchStrategy[str]:
    """Return the values that CloudFormation accepts for a parameter."""
    match parameter:
        case {"AllowedValues": list() as choices}:
            return st.sampled_from([str(one) for one in choices])
        case {"AllowedPattern": str() as pattern}:
            return st.from_regex(pattern.removesuffix("$") + r"\Z")
        case {"MinValue": int() as least, "MaxValue": int() as most}:
            return st.integers(least, most).map(str)
        case _:
            raise AssertionError(f"nothing limits {parameter}")
