"""SnapStart: a build has it only when it is asked for, and then all of the API goes through the snapshot."""

from __future__ import annotations

import json

import pytest

from infra.snapstart import LINES, switched_on
from tests.template import FUNCTION, Template

VERSION = "AWS::Lambda::Version"
ALIAS = "AWS::Lambda::Alias"
BUILT, LATER = "2026-11-22T12:00:00.000000Z", "2026-11-22T12:00:01.000000Z"


def test_without_being_asked_for_there_is_no_version_and_no_alias(stack: Template) -> None:
    """What `sam build` makes has no snapshot, and nothing of it is paid for."""
    assert "SnapStart" not in stack.text
    assert stack.translated_of_type(VERSION) == {}
    assert stack.translated_of_type(ALIAS) == {}


def test_the_api_calls_the_alias_of_a_version_with_a_snapshot(stack: Template) -> None:
    """ApiFunction publishes versions with snapshots, and API Gateway calls the newest through its alias."""
    changed = Template(switched_on(stack.text, BUILT))

    (alias,) = changed.translated_of_type(ALIAS).values()
    (version,) = changed.translated_of_type(VERSION).values()
    function = changed.translated["Resources"]["ApiFunction"]["Properties"]
    api = json.dumps(changed.translated["Resources"]["HttpApi"]["Properties"]["Body"])
    assert function["SnapStart"] == {"ApplyOn": "PublishedVersions"}
    assert alias["FunctionName"] == version["FunctionName"] == {"Ref": "ApiFunction"}
    assert "ApiFunctionAliaslive" in api
    assert "${ApiFunction.Arn}" not in api


def test_a_version_that_is_no_longer_called_is_deleted(stack: Template) -> None:
    """Each version's snapshot is paid for as long as the version exists."""
    changed = Template(switched_on(stack.text, BUILT))

    (version,) = [one for one in changed.translated["Resources"].values() if one["Type"] == VERSION]
    assert version["DeletionPolicy"] == "Delete"


def test_no_other_function_changes(stack: Template) -> None:
    """Functions that make TLS connections with a library of their own are never cloned from one snapshot."""
    changed = Template(switched_on(stack.text, BUILT))

    before, after = stack.of_type(FUNCTION), changed.of_type(FUNCTION)
    assert {name for name in before if before[name] != after[name]} == {"ApiFunction"}


def test_to_switch_it_on_twice_is_to_switch_it_on(stack: Template) -> None:
    """A second `make build SNAPSTART=on` finds the lines there."""
    once = switched_on(stack.text, BUILT)

    assert once.count(LINES) == 1
    assert switched_on(once, BUILT) == once


def test_every_build_publishes_a_version_of_its_own(stack: Template) -> None:
    """SAM does not look into parameters, so what a deployment changes there comes with the next build's version.

    The build says when it was, once, behind what the function is for.
    """
    first, second = switched_on(stack.text, BUILT), switched_on(stack.text, LATER)

    assert _version(first) == _version(switched_on(stack.text, BUILT)) != _version(second)
    assert switched_on(first, LATER) == second
    described = Template(second).of_type(FUNCTION)["ApiFunction"]["Description"]
    assert described == f"Answers the API and writes accepted events. Built {LATER}."


def test_a_parameter_alone_publishes_nothing(stack: Template) -> None:
    """The trap that the above is for: whoever mends it in SAM makes this red, and may take the time out again."""
    other = stack.text.replace("    Default: 30\n", "    Default: 31\n")
    assert other != stack.text
    assert _version(switched_on(other, BUILT)) == _version(switched_on(stack.text, BUILT))


def test_a_template_without_the_api_is_refused() -> None:
    """Lines are never put where they mean nothing."""
    with pytest.raises(ValueError, match="ApiFunction"):
        switched_on("Resources: {}\n", BUILT)


def test_an_api_that_does_not_say_what_it_is_for_is_refused(stack: Template) -> None:
    """The time of a build has its place behind a description, and goes to no other function's."""
    bare = stack.text.replace("      Description: Answers the API and writes accepted events.\n", "")
    with pytest.raises(ValueError, match="Description"):
        switched_on(bare, BUILT)


def _version(template: str) -> str:
    """Return the logical id of the version that CloudFormation is told to publish."""
    (name,) = Template(template).translated_of_type(VERSION)
    return name
