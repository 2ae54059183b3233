"""The commands of `posthorn`, put together. Each is a module of its own."""

import sys
from collections.abc import Sequence
from importlib.metadata import version
from typing import Annotated

import typer

from posthorn_cli import dead_letters, keys, redispatch, workspaces
from posthorn_cli.aws_errors import explain
from posthorn_cli.check import command as check
from posthorn_cli.cost import command as cost
from posthorn_cli.output import note

app = typer.Typer(
    name="posthorn",
    no_args_is_help=True,
    pretty_exceptions_enable=False,  # they show the values of variables, keys included
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog="Shell completion: run posthorn --install-completion once, in the shell that you use.",
)
app.add_typer(workspaces.app, name="workspaces")
app.add_typer(keys.app, name="keys")
app.command("check")(check.command)
app.command("dead-letters")(dead_letters.command)
app.command("redispatch")(redispatch.command)
app.command("cost")(cost.command)


def _print_version(wanted: bool) -> None:
    if wanted:
        print(f"posthorn {version('posthorn')}")
        raise typer.Exit


@app.callback()
def posthorn(
    _: Annotated[
        bool,
        typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version and exit."),
    ] = False,
) -> None:
    """Operate a Posthorn installation in your AWS account, with your own AWS credentials.

    Results go to standard output; progress and errors go to standard error.

    The exit status is 0 for success, 1 for failure, and 2 for a wrong command line.
    """


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; returns the exit status."""
    given = sys.argv[1:] if arguments is None else arguments
    try:
        app([keys.without_secret(argument) for argument in given], prog_name="posthorn")
    except SystemExit as ended:
        return ended.code if isinstance(ended.code, int) else int(ended.code is not None)
    except Exception as error:
        sentence = explain(error)
        if sentence is None:
            raise
        note(f"posthorn: {sentence}")
    return 1
