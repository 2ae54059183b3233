"""`posthorn keys`: make and revoke API keys."""

import re
from typing import Annotated, Final

import typer

from posthorn.domain.api_key import PREFIX, Scope, key_id_of
from posthorn.domain.clock import now_ms
from posthorn.domain.errors import ConditionFailed
from posthorn.domain.ids import WORKSPACE, is_id
from posthorn.stores.api_keys import ApiKeys
from posthorn_cli import installed
from posthorn_cli.access import create_key, create_workspace_key
from posthorn_cli.errors import CommandError
from posthorn_cli.options import AsJson, Profile, Region, Stack
from posthorn_cli.output import note, print_json, print_text

app = typer.Typer(no_args_is_help=True, help="Create and revoke API keys.")

_ID: Final = re.compile(rf"(?:{PREFIX})?([0-9A-Za-z]{{12}})")
_WITH_SECRET: Final = re.compile(rf"({PREFIX}[0-9A-Za-z]{{12}})[0-9A-Za-z]+")


def without_secret(argument: str) -> str:
    """Cut a whole key down to the part that names it, so that no message can repeat the secret."""
    return _WITH_SECRET.sub(r"\1", argument)


def _workspace(text: str) -> str:
    if not is_id(text, WORKSPACE):
        raise typer.BadParameter("Must be the id of a workspace: wksp_ and 26 characters.")
    return text


def _key_id(text: str) -> str:
    if (match := _ID.fullmatch(text)) is None:
        raise typer.BadParameter("Must be an API key or its id, the 12 characters that follow phk_.")
    return match[1]


@app.command()
def create(
    *,
    name: Annotated[str, typer.Option(help="What the key is for, such as the service that uses it.")],
    scope: Annotated[list[Scope], typer.Option(help="What the key may do. Repeat for several scopes.")],
    workspace: Annotated[
        str | None,
        typer.Option(
            parser=_workspace,
            metavar="ID",
            help="Workspace that the key belongs to (wksp_...).",
            show_default="a new one",
        ),
    ] = None,
    stack: Stack = "posthorn",
    region: Region = None,
    profile: Profile = None,
    as_json: AsJson = False,
) -> None:
    """Create an API key and print it, once: only a hash of it is stored."""
    place = installed.find(stack, region=region, profile=profile)
    table = place.output("ConfigTableName")
    if workspace is None:
        workspace, key = create_workspace_key(place.dynamodb, table, workspace_name=name, scopes=scope)
    else:
        key = create_key(place.dynamodb, table, workspace=workspace, name=name, scopes=scope)
    scopes = sorted({one.value for one in scope})
    if as_json:
        print_json({"id": key_id_of(key), "name": name, "workspace": workspace, "scopes": scopes, "key": key})
        return
    print_text(f"workspace  {workspace}", f"scopes     {' '.join(scopes)}", f"API key    {key}")
    note("Store the key now. It cannot be shown again.")


@app.command()
def revoke(
    *,
    key: Annotated[
        str,
        typer.Argument(
            parser=_key_id,
            metavar="KEY",
            help="The key, or its id: the 12 characters that follow phk_. Prefer the id, which is no secret.",
        ),
    ],
    stack: Stack = "posthorn",
    region: Region = None,
    profile: Profile = None,
    as_json: AsJson = False,
) -> None:
    """Revoke an API key. It stops working within 30 seconds."""
    place = installed.find(stack, region=region, profile=profile)
    try:
        ApiKeys(place.dynamodb, place.output("ConfigTableName")).revoke(key, now_ms=now_ms())
    except ConditionFailed as error:
        raise CommandError(f"There is no API key with the id {key}.") from error
    if as_json:
        print_json({"id": key, "revoked": True})
    else:
        print_text(f"revoked {key}")
