"""`posthorn`, the command line of whoever runs an installation."""

from infra.cli.commands import main

__all__ = ["main"]
