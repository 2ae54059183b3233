"""The commands of `posthorn`. They speak to AWS with the caller's own credentials."""

from __future__ import annotations

import argparse
import sys
from dataclasses import asdict
from datetime import datetime
from typing import TYPE_CHECKING

from botocore.exceptions import BotoCoreError, ClientError

from posthorn.domain.api_key import Scope
from posthorn.domain.clock import now_ms
from posthorn.domain.errors import ConditionFailed, PosthornError
from posthorn.domain.ids import WORKSPACE, is_id
from posthorn.stores.api_keys import ApiKeys
from posthorn_cli import dead_letters
from posthorn_cli.access import create_key, create_workspace_key
from posthorn_cli.cost import show
from posthorn_cli.errors import CommandError
from posthorn_cli.installed import find
from posthorn_cli.redispatch import redispatch

if TYPE_CHECKING:
    from collections.abc import Sequence


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

    again = groups.add_parser("redispatch", help="queue what the events of a window have no delivery for")
    _common(again)
    again.add_argument("--since", required=True, type=_moment, help="e.g. 2026-03-01T12:00:00Z")
    again.add_argument("--until", type=_moment, help="as --since (default: now)")
    again.add_argument("--dry-run", action="store_true", help="only count")
    again.set_defaults(run=_redispatch)

    letters = groups.add_parser("dead-letters", help="show what was given up on, or move it back")
    _common(letters)
    letters.add_argument("--queue", choices=list(dead_letters.QUEUES), help="only this one (default: all)")
    letters.add_argument("--move", action="store_true", help="move everything back to where it belongs")
    letters.add_argument("--dry-run", action="store_true", help="with --move: only say what would be moved")
    letters.set_defaults(run=_dead_letters)
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
    place = find(options)
    table, dynamodb = place.output("ConfigTableName"), place.dynamodb
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
    place = find(options)
    keys = ApiKeys(place.dynamodb, place.output("ConfigTableName"))
    try:
        keys.revoke(options.key_id, now_ms=now_ms())
    except ConditionFailed as error:
        raise CommandError(f"there is no key {options.key_id}") from error
    print(f"revoked {options.key_id}")


def _redispatch(options: argparse.Namespace) -> None:
    since, until = options.since, options.until or now_ms()
    if since > until:
        raise CommandError("--since is after --until")
    tally = redispatch(
        find(options), since_ms=since, until_ms=until, dry_run=options.dry_run, progress=_progress
    )
    for name, count in asdict(tally).items():
        print(f"{name:<11}{count}")
    if tally.failed:
        raise CommandError(f"{tally.failed} could not be queued; run the command again")


def _dead_letters(options: argparse.Namespace) -> None:
    place = find(options)
    if options.dry_run and not options.move:
        raise CommandError("--dry-run is for --move; without it, nothing is moved anyway")
    for queue in [options.queue] if options.queue else dead_letters.QUEUES:
        handled = dead_letters.go_through(place, queue, move=options.move, dry_run=options.dry_run, say=print)
        _progress(f"{queue}: {handled.found} found, {handled.moved} moved")


def _moment(text: str) -> int:
    """Read a time with its zone as Unix milliseconds; argparse says the rest."""
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None:
        raise ValueError("a time zone is missing")
    return int(moment.timestamp() * 1000)


def _progress(line: str) -> None:
    print(line, file=sys.stderr)
