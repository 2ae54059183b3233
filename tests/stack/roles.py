"""The roles of the template: what each may do."""

from __future__ import annotations

from typing import Any

from tests.template import ROLE, Json, Template, target


def role_of(stack: Template, function: str) -> str:
    return target(stack.functions[function]["Role"]).removesuffix(".Arn")


def statements_of(role: Json) -> list[Json]:
    """Return the statements of a role, those that depend on a parameter included."""
    statements = [one for policy in role["Policies"] for one in policy["PolicyDocument"]["Statement"]]
    return [one["Fn::If"][1] if "Fn::If" in one else one for one in statements]


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
