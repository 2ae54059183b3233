"""The artifact that `make build` makes from the output of `sam build`: bytecode, and its processor."""

from __future__ import annotations

import os
import re
import subprocess
from shutil import copytree
from typing import TYPE_CHECKING, Final

from infra.bytecode import compile_build, functions
from infra.local.places import LAMBDA_PYTHON, STATE, architecture
from infra.processor import fix_processor

if TYPE_CHECKING:
    from pathlib import Path

    from infra.local.stack import Stack

_UNCHECKED: Final = b"\x01\x00\x00\x00"  # PEP 552: hash-based, and the source is not checked
_IMPORTS: Final = """
import importlib, os, sys
for name in ("api", "deliver", "dispatch", "feedback"):
    importlib.import_module(f"posthorn.handlers.{name}")
sources = [
    module.__spec__ for module in sys.modules.values()
    if (getattr(module, "__file__", None) or "").startswith(sys.argv[1]) and module.__file__.endswith(".py")
]
print(len(sources) > 50, [spec.name for spec in sources if not os.path.exists(spec.cached)])
"""


def test_every_module_of_the_artifact_starts_from_bytecode(
    stack: Stack,  # noqa: ARG001 - its start has built the functions
    tmp_path: Path,
) -> None:
    """All handlers import from a read-only copy, from `unchecked-hash` bytecode, and write nothing."""
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
    assert said == "True []\n"
    assert sorted(folder.rglob("*.pyc")) == bytecode


def test_the_artifact_has_the_wheels_of_the_processor_that_it_names(
    stack: Stack,  # noqa: ARG001 - its start has built the functions
    tmp_path: Path,
) -> None:
    """Every compiled library is for the only processor that the built template allows."""
    build = tmp_path / "build"
    copytree(STATE / "e2e" / "build", build)
    fix_processor(build)

    text = (build / "template.yaml").read_text("utf-8")
    (allowed,) = re.findall(
        r"^  Architecture:\n(?:    .*\n)*?    AllowedValues:\n((?:    - .*\n)+)", text, re.MULTILINE
    )
    assert allowed.split() == ["-", architecture()]
    suffix = f"-{architecture().replace('arm64', 'aarch64')}-linux-gnu.so"
    modules = [path.name for path in build.rglob("*.cpython-313-*.so")]
    assert len(modules) >= len(functions(build))
    assert [name for name in modules if not name.endswith(suffix)] == []
