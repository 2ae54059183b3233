"""Tools of the npm registry that read the API's description, without a way out to the network."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path
from typing import Final

HERE: Final = Path(__file__).parent
PATIENCE: Final = 300.0

# where a proxy should be there is nobody, so a tool that wanted to go out would not get far
_NOWHERE: Final = "http://127.0.0.1:9"


class ToolError(Exception):
    """A tool is missing; the text says what to do."""


def run_tool(name: str, *arguments: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    """Run a tool, and return what it printed and how it ended."""
    tool = HERE / "node_modules" / ".bin" / name
    if not tool.exists():
        raise ToolError(f"{name} is missing: run `npm ci` in tests/openapi (`make setup` does)")
    return subprocess.run(
        [str(tool), *arguments],
        check=False,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        cwd=cwd,
        env={
            "PATH": os.environ["PATH"],
            "HOME": str(cwd),
            "NO_COLOR": "1",
            "HTTP_PROXY": _NOWHERE,
            "HTTPS_PROXY": _NOWHERE,
            "REDOCLY_TELEMETRY": "off",
            "REDOCLY_SUPPRESS_UPDATE_NOTICE": "true",
        },
    )
