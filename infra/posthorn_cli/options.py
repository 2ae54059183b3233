"""Options that several commands share. Typer reads the annotations when the program starts."""

from typing import Annotated

import typer

from posthorn.domain.clock import now_ms
from posthorn_cli import times

Stack = Annotated[str, typer.Option("--stack", help="Name of the CloudFormation stack.")]
Region = Annotated[
    str | None,
    typer.Option("--region", help="AWS region of the stack.", show_default="the profile's"),
]
Profile = Annotated[
    str | None, typer.Option("--profile", help="AWS profile to use.", show_default="AWS_PROFILE, or default")
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON to standard output instead of text.")]


def read_time(text: str) -> int:
    """Read the value of an option that is a time."""
    try:
        return times.parse(text, now_ms=now_ms())
    except ValueError as error:
        raise typer.BadParameter(str(error)) from error
