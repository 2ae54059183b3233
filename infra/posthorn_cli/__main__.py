"""Where `posthorn` and `python -m posthorn_cli` begin."""

from __future__ import annotations

import sys


def run() -> None:
    """Run the command, or say how to install what it needs: the libraries are an extra."""
    try:
        from posthorn_cli.app import main
    except ModuleNotFoundError as error:
        if error.name is None or error.name.startswith("posthorn"):
            raise
        sys.exit(
            f"posthorn: The module {error.name} is missing. Install Posthorn with its extra: posthorn[cli]."
        )
    sys.exit(main())


if __name__ == "__main__":
    run()
