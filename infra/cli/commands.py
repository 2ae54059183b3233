"""The commands of `posthorn`. They speak to AWS with the caller's own credentials."""

from __future__ import annotations

import argparse
import sys
from typing import TYPE_CHECKING, Any

import boto3
from botocore.exceptions import BotoCoreError, ClientError

from infra.cli.access import create_key, create_workspace_key
from infra.cost import show
from posthorn.api_keys import Scope
from posthorn.clock import now_ms
from posthorn.errors import ConditionFailed, PosthornError
from posthorn.ids import WORKSPACE, is_id
from posthorn.stores.api_keys import ApiKeys

if TYPE_CHECKING:
    from collections.abc import Sequence


class CommandError(Exception):
    """A command that cannot be carried out; the text tells the operator why."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; returns the exit status."""
    options = _parser().parse_args(arguments)
    try:
        options.run(options)
    except (CommandError, PosthornError, BotoCoreError, ClientError) as error:
        print(f"posthorn: {error}", file=sys.stderr)
        return 1
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="posthorn", description="Run a Posthorn installation in your AWS account."
    )
    groups = parser.add_subparsers(required=True, metavar="COMMAND")
    keys = groups.add_parser("keys", help="API keys").add_subparsers(required=True, metavar="ACTION")

    create = keys.add_parser("create", help="make an API key and show it, once")
    _common(create)
    create.add_argument("--name", required=True, help="what the key is for, e.g. the service that uses it")
    create.add_argument("--workspace", help="id of the workspace (wksp_...); without it, a new one is made")
    create.add_argument(
        "--scope",
        action="append",
        required=True,
        choices=[scope.value for scope in Scope],
        help="what the key may do; may be given several times",
    )
    create.set_defaults(run=_create_key)

    revoke = keys.add_parser("revoke", help="make an API key useless, within 30 seconds")
    _common(revoke)
    revoke.add_argument("key_id", help="the 12 characters of the key that follow phk_")
    revoke.set_defaults(run=_revoke_key)

    cost = groups.add_parser(
        "cost", help="what a workload costs, from counts and list prices; asks AWS nothing"
    )
    show.add_options(cost)
    cost.set_defaults(run=lambda options: print(show.text(show.workload(options))))
    return parser


def _common(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--stack", default="posthorn", help="name of the stack (default: posthorn)")
    parser.add_argument("--region", help="AWS region (default: that of your profile)")
    parser.add_argument("--profile", help="AWS profile")


def _create_key(options: argparse.Namespace) -> None:
    if options.workspace is not None and not is_id(options.workspace, WORKSPACE):
        raise CommandError(f"{options.workspace} is not the id of a workspace (wksp_ and 26 characters)")
    session = _session(options)
    table = _output(session, options.stack, "ConfigTableName")
    dynamodb = session.client("dynamodb")
    workspace = options.workspace
    if workspace is None:
        workspace, key = create_workspace_key(
            dynamodb, table, workspace_name=options.name, scopes=options.scope
        )
    else:
        key = create_key(dynamodb, table, workspace=workspace, name=options.name, scopes=options.scope)
    print(f"workspace  {workspace}")
    print(f"scopes     {' '.join(sorted(set(options.scope)))}")
    print(f"API key    {key}")
    print("Keep it now: it is stored as a hash and cannot be shown again.", file=sys.stderr)


def _revoke_key(options: argparse.Namespace) -> None:
    session = _session(options)
    keys = ApiKeys(session.client("dynamodb"), _output(session, options.stack, "ConfigTableName"))
    try:
        keys.revoke(options.key_id, now_ms=now_ms())
    except ConditionFailed as error:
        raise CommandError(f"there is no key {options.key_id}") from error
    print(f"revoked {options.key_id}")


def _session(options: argparse.Namespace) -> Any:
    return boto3.Session(profile_name=options.profile, region_name=options.region)


def _output(session: Any, stack: str, name: str) -> str:
    """Return an output of the stack, where the names of its tables and queues stand."""
    stacks = session.client("cloudformation").describe_stacks(StackName=stack)["Stacks"]
    for output in stacks[0].get("Outputs", []):
        if output["OutputKey"] == name:
            return str(output["OutputValue"])
    raise CommandError(f"the stack {stack} has no output {name}; is it a Posthorn stack?")
