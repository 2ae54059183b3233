"""`posthorn workspaces`: the customers of the platform."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated

import typer

from posthorn.api.routes import workspace_views
from posthorn.domain.clock import rfc3339
from posthorn.domain.workspace import UID_RULE, Workspace, WorkspaceStatus, is_name, is_uid
from posthorn_cli import installed, workspace_deletion
from posthorn_cli.access import create_workspace
from posthorn_cli.installed import Installed
from posthorn_cli.options import AsJson, Profile, Region, Stack
from posthorn_cli.output import print_json, print_text, printable

if TYPE_CHECKING:
    from rich.table import Table

app = typer.Typer(no_args_is_help=True, help="List, show, create and delete workspaces.")
app.command()(workspace_deletion.delete)

_MAX_NAME = 128


def _name(text: str) -> str:
    if not is_name(text):
        raise typer.BadParameter("Must be the id or the uid of a workspace.")
    return text


def _uid(text: str) -> str:
    if not is_uid(text):
        raise typer.BadParameter(f"Must have {UID_RULE}.")
    return text


@app.command(name="list")
def list_workspaces(
    *,
    status: Annotated[
        WorkspaceStatus | None, typer.Option(help="Only workspaces with this status.", show_default="all")
    ] = None,
    stack: Stack = "posthorn",
    region: Region = None,
    profile: Profile = None,
    as_json: AsJson = False,
) -> None:
    """List the workspaces, the oldest first."""
    found = list(_all(installed.find(stack, region=region, profile=profile), status))
    if as_json:
        print_json({"workspaces": [workspace_views.workspace(one) for one in found]})
    else:
        print_text(_table(found))


@app.command()
def show(
    *,
    workspace: Annotated[
        str, typer.Argument(parser=_name, metavar="ID_OR_UID", help="The workspace, by its id or uid.")
    ],
    stack: Stack = "posthorn",
    region: Region = None,
    profile: Profile = None,
    as_json: AsJson = False,
) -> None:
    """Show a workspace."""
    _print(installed.find(stack, region=region, profile=profile).workspace(workspace), as_json=as_json)


@app.command()
def create(
    *,
    uid: Annotated[
        str,
        typer.Argument(parser=_uid, metavar="UID", help="Your own id for the customer, such as cust_8812."),
    ],
    name: Annotated[str | None, typer.Option(help="Its name.", show_default="the uid")] = None,
    stack: Stack = "posthorn",
    region: Region = None,
    profile: Profile = None,
    as_json: AsJson = False,
) -> None:
    """Create a workspace. A uid that is taken is refused."""
    if name is not None and not (1 <= len(name) <= _MAX_NAME and name.isprintable()):
        raise typer.BadParameter(
            f"Must have 1 to {_MAX_NAME} characters, without control characters.", param_hint="--name"
        )
    place = installed.find(stack, region=region, profile=profile)
    table = place.output("ConfigTableName")
    _print(create_workspace(place.dynamodb, table, uid=uid, name=name or uid), as_json=as_json)


def _all(place: Installed, status: WorkspaceStatus | None) -> Iterator[Workspace]:
    after: str | None = None
    while True:
        page, after = place.workspaces.page(status, after=after, limit=100)
        yield from page
        if after is None:
            return


def _print(one: Workspace, *, as_json: bool) -> None:
    if as_json:
        print_json({"workspace": workspace_views.workspace(one)})
        return
    maps = {"metadata": one.metadata, "limits": one.limits}
    print_text(
        f"id         {one.id}",
        f"uid        {one.uid}",
        f"name       {printable(one.name)}",
        f"status     {one.status}",
        f"created    {rfc3339(one.created_at)}",
        *(
            f"{title:<10} {printable(f'{key}={value}')}"
            for title, found in maps.items()
            for key, value in found.items()
        ),
    )


def _table(found: list[Workspace]) -> "Table":
    from rich.table import Table

    table = Table.grid(padding=(0, 2))
    for one in found:
        table.add_row(one.id, one.uid, one.status, rfc3339(one.created_at), printable(one.name))
    return table
