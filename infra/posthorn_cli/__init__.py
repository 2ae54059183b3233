"""`posthorn`, the command line of whoever runs an installation."""

from posthorn_cli.commands import main

__all__ = ["main"]
