"""Clients that published generators make of the API's description, and a program for each that uses it."""

from __future__ import annotations

import os
import shutil
import subprocess
from typing import TYPE_CHECKING, Final

from infra.openapi import TARGET
from tests.openapi.node_tools import HERE, PATIENCE, run_tool
from tests.template import ROOT

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

PYTHON_PACKAGE: Final = "posthorn_client"
TOOLS: Final = ROOT / ".venv" / "clients" / "bin"


class GenerationError(Exception):
    """A generator failed or complained; the text is what it printed."""


def generate_python(directory: Path, *, description: Path = TARGET) -> None:
    """Write the package `posthorn_client` into a directory; a warning is an error."""
    found = subprocess.run(
        [
            *(str(TOOLS / "openapi-python-client"), "generate", "--path", str(description)),
            *("--meta", "none", "--output-path", str(directory / PYTHON_PACKAGE), "--fail-on-warning"),
        ],
        check=False,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        env={"PATH": f"{TOOLS}{os.pathsep}{os.defpath}", "HOME": str(directory)},  # it formats with ruff
    )
    printed = found.stdout + found.stderr
    if found.returncode != 0 or "arning" in printed:
        raise GenerationError(printed)


def generate_typescript(directory: Path, *, description: Path = TARGET) -> None:
    """Write the folder `client` into a directory, and compile it strictly with the program that uses it."""
    found = run_tool("openapi-ts", "-i", str(description), "-o", "client", "--no-log-file", cwd=directory)
    printed = found.stdout + found.stderr
    if found.returncode != 0 or "arn" in printed or "⚠" in printed:
        raise GenerationError(printed)
    shutil.copy(HERE / "round_trip.ts", directory)
    options = ("--strict", "--target", "es2022", "--module", "commonjs", "--lib", "es2022,dom,dom.iterable")
    compiled = run_tool("tsc", *options, "--outDir", "compiled", "round_trip.ts", cwd=directory)
    if compiled.returncode != 0:
        raise GenerationError(compiled.stdout + compiled.stderr)


def run_python(directory: Path, env: Mapping[str, str]) -> str:
    """Run the program that uses the Python client; return what it prints."""
    return _run([str(TOOLS / "python"), str(HERE / "round_trip.py")], {"PYTHONPATH": str(directory), **env})


def run_typescript(directory: Path, env: Mapping[str, str]) -> str:
    """Run the program that uses the TypeScript client; return what it prints."""
    return _run(["node", str(directory / "compiled" / "round_trip.js")], env)


def _run(command: list[str], env: Mapping[str, str]) -> str:
    done = subprocess.run(
        command,
        check=False,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        env={"PATH": os.environ["PATH"], **env},
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout
