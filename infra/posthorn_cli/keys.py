"""`posthorn keys`: make, list and revoke API keys."""

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated, Final

import typer

from posthorn.domain.api_key import PLATFORM, PREFIX, ApiKey, Scope, key_id_of
from posthorn.domain.clock import now_ms
from posthorn.domain.errors import ConditionFailed
from posthorn.domain.workspace import is_name
from posthorn_cli import installed
from posthorn_cli.access import create_key
from posthorn_cli.errors import CommandError
from posthorn_cli.installed import Installed
from posthorn_cli.options import AsJson, Profile, Region, Stack
from posthorn_cli.output import note, print_json, print_text, printable

if TYPE_CHECKING:
    from rich.table import Table

app = typer.Typer(no_args_is_help=True, help="Create, list and revoke API keys.")

_ID: Final = re.compile(rf"(?:{PREFIX})?([0-9A-Za-z]{{12}})")
_WITH_SECRET: Final = re.compile(rf"({PREFIX}[0-9A-Za-z]{{12}})[0-9A-Za-z]+")


def without_secret(argument: str) -> str:
    """Cut a whole key down to the part that names it, so that no message can repeat the secret."""
    return _WITH_SECRET.sub(r"\1", argument)


def _workspace(text: str) -> str:
    if not is_name(text):
        raise typer.BadParameter("Must be the id or the uid of a workspace.")
    return text


def _key_id(text: str) -> str:
    if (match := _ID.fullmatch(text)) is None:
        raise typer.BadParameter("Must be an API key or its id, the 12 characters that follow phk_.")
    return match[1]


_Workspace = Annotated[
    str | None,
    typer.Option(
        parser=_workspace, metavar="ID_OR_UID", help="Workspace of the key.", show_default="needs --platform"
    ),
]


@app.command()
def create(
    *,
    name: Annotated[str, typer.Option(help="What the key is for, such as the service that uses it.")],
    workspace: _Workspace = None,
    scope: Annotated[
        list[Scope] | None,
        typer.Option(help="What the key may do in its workspace. Repeat for several scopes."),
    ] = None,
    platform: Annotated[
        bool,
        typer.Option(
            "--platform",
            help="Make a platform key: it manages workspaces and has every scope in each of them.",
        ),
    ] = False,
    stack: Stack = "posthorn",
    region: Region = None,
    profile: Profile = None,
    as_json: AsJson = False,
) -> None:
    """Create an API key and print it, once: only a hash of it is stored."""
    _check_owner(workspace, platform)
    if platform == bool(scope):
        raise typer.BadParameter("Needs --scope for a key of a workspace, and takes none with --platform.")
    place = installed.find(stack, region=region, profile=profile)
    owner = None if workspace is None else place.workspace(workspace)
    key = create_key(
        place.dynamodb,
        place.output("ConfigTableName"),
        workspace=None if owner is None else owner.id,
        name=name,
        scopes=scope or (),
    )
    scopes = [PLATFORM] if platform else sorted({one.value for one in scope or ()})
    belongs = {} if owner is None else {"workspace": owner.id, "uid": owner.uid}
    if as_json:
        print_json({"id": key_id_of(key), "name": name, **belongs, "scopes": scopes, "key": key})
        return
    lines = (f"{field:<9}  {value}" for field, value in belongs.items())
    print_text(*lines, f"scopes     {' '.join(scopes)}", f"API key    {key}")
    note("Store the key now. It cannot be shown again.")


@app.command(name="list")
def list_keys(
    *,
    workspace: _Workspace = None,
    platform: Annotated[bool, typer.Option("--platform", help="List the platform keys.")] = False,
    stack: Stack = "posthorn",
    region: Region = None,
    profile: Profile = None,
    as_json: AsJson = False,
) -> None:
    """List the API keys of a workspace, or the platform keys, revoked and expired ones included."""
    from posthorn.api.routes import api_key_views

    _check_owner(workspace, platform)
    place = installed.find(stack, region=region, profile=profile)
    owner = None if workspace is None else place.workspace(workspace)
    found, now = list(_keys_of(place, None if owner is None else owner.id)), now_ms()
    if as_json:
        shown = [{**api_key_views.api_key(key, now), "scopes": _scopes(key)} for key in found]
        print_json({"apiKeys": shown})
    else:
        print_text(_table(found, now))


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
        place.api_keys.revoke(key, now_ms=now_ms())
    except ConditionFailed as error:
        raise CommandError(f"There is no API key with the id {key}.") from error
    if as_json:
        print_json({"id": key, "revoked": True})
    else:
        print_text(f"revoked {key}")


def _check_owner(workspace: str | None, platform: bool) -> None:
    if platform == (workspace is not None):
        raise typer.BadParameter("Needs either --workspace or --platform.")


def _keys_of(place: Installed, workspace: str | None) -> Iterator[ApiKey]:
    after: str | None = None
    while True:
        page, after = place.api_keys.page(workspace, after=after, limit=100)
        yield from page
        if after is None:
            return


def _scopes(key: ApiKey) -> list[str]:
    return [PLATFORM] if key.is_platform else sorted(key.scopes)


def _table(found: list[ApiKey], now: int) -> "Table":
    from rich.table import Table

    table = Table.grid(padding=(0, 2))
    for key in found:
        table.add_row(key.id, key.state(now), " ".join(_scopes(key)), printable(key.name))
    return table
