"""Where output goes: results to standard output, as text or JSON, and everything else to standard error."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from rich.console import RenderableType

_UNWRAPPED: Final = 1000  # columns; a program that reads the output sees whole lines


def print_json(value: Any) -> None:
    """Print a result for a program."""
    print(json.dumps(value, indent=2))


def print_text(*parts: RenderableType) -> None:
    """Print a result for a person: as wide as the terminal, or unwrapped into a pipe or a file."""
    from rich.console import Console  # late: shell completion runs the program at every tab

    console = Console(width=None if sys.stdout.isatty() else _UNWRAPPED, highlight=False, markup=False)
    with console.capture() as captured:
        for part in parts:
            console.print(part)
    print("\n".join(line.rstrip() for line in captured.get().splitlines()))


def note(text: str) -> None:
    """Print something that is not the result."""
    print(text, file=sys.stderr)


def printable(text: str) -> str:
    """Replace control characters, which a terminal would act on."""
    return "".join(
        character if character.isprintable() else "\N{REPLACEMENT CHARACTER}" for character in text
    )
