"""SnapStart: a build has it only when it is asked for, and then all of the API goes through the snapshot."""

from __future__ import annotations

import json

import pytest

from infra.snapstart import LINES, switched_on
from tests.template import FUNCTION, Template

VERSION = "AWS::Lambda::Version"
ALIAS = "AWS::Lambda::Alias"


def test_without_being_asked_for_there_is_no_version_and_no_alias(stack: Template) -> None:
    """What `sam build` makes has no snapshot, and nothing of it is paid for."""
    assert "SnapStart" not in stack.text
    assert stack.translated_of_type(VERSION) == {}
    assert stack.translated_of_type(ALIAS) == {}


def test_the_api_calls_the_alias_of_a_version_with_a_snapshot(stack: Template) -> None:
    """ApiFunction publishes versions with snapshots, and API Gateway calls the newest through its alias."""
    changed = Template(switched_on(stack.text))

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
    changed = Template(switched_on(stack.text))

    (version,) = [one for one in changed.translated["Resources"].values() if one["Type"] == VERSION]
    assert version["DeletionPolicy"] == "Delete"


def test_no_other_function_changes(stack: Template) -> None:
    """Functions that make TLS connections with a library of their own are never cloned from one snapshot."""
    changed = Template(switched_on(stack.text))

    before, after = stack.of_type(FUNCTION), changed.of_type(FUNCTION)
    assert {name for name in before if before[name] != after[name]} == {"ApiFunction"}


def test_to_switch_it_on_twice_is_to_switch_it_on(stack: Template) -> None:
    """A second `make build SNAPSTART=on` finds the lines there."""
    once = switched_on(stack.text)

    assert once.count(LINES) == 1
    assert switched_on(once) == once


def test_a_template_without_the_api_is_refused() -> None:
    """Lines are never put where they mean nothing."""
    with pytest.raises(ValueError, match="ApiFunction"):
        switched_on("Resources: {}\n")
