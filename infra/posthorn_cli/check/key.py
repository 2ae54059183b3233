"""Checks that the functions may use the KMS key that encrypts signing secrets and tables."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

from posthorn_cli.check.deployed import Missing
from posthorn_cli.check.findings import fail, ok, warn

if TYPE_CHECKING:
    from collections.abc import Iterator

    from posthorn_cli.check.deployed import Deployed
    from posthorn_cli.check.findings import Finding

_USES: Final = ("kms:Encrypt", "kms:Decrypt")  # what the roles do with it
_THROUGH_TABLES: Final = ("kms:Decrypt", "kms:GenerateDataKey")  # what DynamoDB does for them


def check_key(deployed: Deployed) -> Iterator[Finding]:
    """Look at the key's state, rotation and policy."""
    arn = deployed.place.output("SecretsKeyArn")
    try:
        state = deployed.ask("kms", "describe_key", KeyId=arn)["KeyMetadata"]
    except Missing:
        yield fail(
            "The key of the signing secrets does not exist.",
            "Without it, no secret can be read: deploy a new stack.",
        )
        return
    if state["KeyState"] == "PendingDeletion":
        yield fail(
            f"The key of the signing secrets is going to be deleted on {state['DeletionDate']:%Y-%m-%d}.",
            f"Run: aws kms cancel-key-deletion --key-id {arn}, then aws kms enable-key --key-id {arn}",
        )
    elif state["KeyState"] != "Enabled":
        yield fail(
            f"The key of the signing secrets is {state['KeyState']}, so nothing can be signed.",
            f"Run: aws kms enable-key --key-id {arn}",
        )
    elif not deployed.ask("kms", "get_key_rotation_status", KeyId=arn)["KeyRotationEnabled"]:
        yield warn("The key is not rotated.", f"Run: aws kms enable-key-rotation --key-id {arn}")
    policy = deployed.ask("kms", "get_key_policy", KeyId=arn, PolicyName="default")["Policy"]
    yield from _policy(json.loads(policy), account=arn.split(":")[4])
    yield ok("The key is enabled and rotated, and its policy lets the roles use it.")


def _policy(policy: Any, *, account: str) -> Iterator[Finding]:
    """Compare a policy with what the template's says: IAM decides, and the tables may use the key."""
    statements = _list(policy["Statement"])
    allowing = [one for one in statements if one["Effect"] == "Allow"]
    again = "Deploy the stack again, or put the KeyPolicy of template.yaml in place."
    if not any(_is_of(one, account) and _allows(one, _USES) and not one.get("Condition") for one in allowing):
        yield fail("The key's policy does not let IAM decide, so the roles cannot use the key.", again)
    if not any(_is_through_tables(one) and _allows(one, _THROUGH_TABLES) for one in allowing):
        yield fail("The key's policy does not let DynamoDB use the key for the tables.", again)
    if len(allowing) < len(statements):
        yield warn("The key's policy denies something.", "Make sure that it spares the roles of the stack.")


def _is_of(statement: Any, account: str) -> bool:
    """Return whether a statement hands the decision to IAM: its principal is the account itself."""
    principals = statement.get("Principal")
    named = _list(principals.get("AWS", [])) if isinstance(principals, dict) else []
    return any(one == account or one.endswith(f":iam::{account}:root") for one in named)


def _is_through_tables(statement: Any) -> bool:
    services = [
        service
        for condition in (statement.get("Condition") or {}).values()
        for service in _list(condition.get("kms:ViaService", []))
    ]
    return any(service.startswith("dynamodb.") for service in services)


def _allows(statement: Any, actions: tuple[str, ...]) -> bool:
    patterns = [one.lower() for one in _list(statement.get("Action", []))]
    return all(any(_covers(pattern, action.lower()) for pattern in patterns) for action in actions)


def _covers(pattern: str, action: str) -> bool:
    return action.startswith(pattern[:-1]) if pattern.endswith("*") else pattern == action


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]
