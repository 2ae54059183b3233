"""The artifact that `make build` makes of what `sam build` made: bytecode that a read-only folder can use."""

from __future__ import annotations

import os
import subprocess
from shutil import copytree
from typing import TYPE_CHECKING, Final

from infra.bytecode import compile_build, functions
from infra.local.places import LAMBDA_PYTHON, STATE

if TYPE_CHECKING:
    from pathlib import Path

    from infra.local.stack import Stack

_UNCHECKED: Final = b"\x01\x00\x00\x00"  # PEP 552: a hash, and nobody looks at the source
_IMPORTS: Final = """
import importlib, sys
handlers = ("api", "deliver", "dispatch", "feedback")
for name in handlers:
    importlib.import_module(f"posthorn.handlers.{name}")
# what was compiled and not read would have no place to be kept
print([name for name, module in sorted(sys.modules.items())
       if getattr(module, "__file__", None) and module.__file__.startswith(sys.argv[1])
       and not (module.__cached__ and __import__("os").path.exists(module.__cached__))
       and module.__file__.endswith(".py")])
"""


def test_every_module_of_the_artifact_starts_from_bytecode(
    stack: Stack,  # noqa: ARG001 - it has built the functions
    tmp_path: Path,
) -> None:
    """All handlers import from a read-only copy, each module from `unchecked-hash` bytecode, and nothing is written."""
    build = tmp_path / "build"
    copytree(STATE / "e2e" / "build", build)
    assert compile_build(build, version=(3, 13)) == len(functions(build))
    folder = build / "ApiFunction"
    bytecode = sorted(folder.rglob("*.pyc"))
    assert {path.read_bytes()[4:8] for path in bytecode} == {_UNCHECKED}
    for path in (folder, *folder.rglob("*")):
        path.chmod(0o555 if path.is_dir() else 0o444)

    said = subprocess.run(
        [LAMBDA_PYTHON, "-c", _IMPORTS, folder],
        env={**os.environ, "PYTHONPATH": str(folder)},
        capture_output=True,
        text=True,
        check=True,
    ).stdout

    for path in (folder, *folder.rglob("*")):
        path.chmod(0o755)
    assert said == "[]\n"
    assert sorted(folder.rglob("*.pyc")) == bytecode
