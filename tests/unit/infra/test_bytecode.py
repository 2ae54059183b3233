"""The bytecode that `make build` adds to the artifacts."""

from __future__ import annotations

import os
import subprocess
import sys
from shutil import copytree
from typing import TYPE_CHECKING, Final

import pytest

from infra.bytecode import NotCompiled, compile_build, functions
from tests.template import ROOT

if TYPE_CHECKING:
    from pathlib import Path

_TEMPLATE: Final = "Globals:\n  Function:\n    Runtime: python3.13\n"
_UNCHECKED: Final = 0b01  # PEP 552: hash-based, and the source is not checked


def _build(folder: Path, *, source: str = "def answer():\n    return 42\n") -> Path:
    package = folder / "ApiFunction" / "shop"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text(source, "utf-8")
    (folder / "template.yaml").write_text(_TEMPLATE, "utf-8")
    return folder


def _bytecode(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*.pyc")}


def test_all_of_our_own_code_gets_bytecode_that_is_never_checked(tmp_path: Path) -> None:
    """Every module of the package has `unchecked-hash` bytecode for Python 3.13."""
    build = _build(tmp_path)
    copytree(
        ROOT / "functions" / "posthorn",
        build / "ApiFunction" / "posthorn",
        ignore=lambda *_: {"__pycache__"},
    )

    assert compile_build(build, version=(3, 13)) == 1

    (folder,) = functions(build)
    made = _bytecode(folder)
    for source in folder.rglob("*.py"):
        name = source.relative_to(folder).parent / "__pycache__" / f"{source.stem}.cpython-313.pyc"
        assert int.from_bytes(made[str(name)][4:8], "little") == _UNCHECKED, name


def test_a_function_imports_from_a_read_only_folder_and_writes_nothing(tmp_path: Path) -> None:
    """As on /var/task: the bytecode runs, whatever the source's modification time."""
    build = _build(tmp_path)
    compile_build(build, version=(3, 13))
    (folder,) = functions(build)
    source = folder / "shop" / "__init__.py"
    source.write_text("raise SystemExit('compiled again')\n", "utf-8")
    os.utime(source, (0, 0))
    before = _bytecode(folder)
    for path in (folder, *folder.rglob("*")):
        path.chmod(0o555 if path.is_dir() else 0o444)

    said = subprocess.run(
        [sys.executable, "-c", "import shop; print(shop.answer())"],
        env={"PYTHONPATH": str(folder)},
        capture_output=True,
        text=True,
        check=True,
    ).stdout

    for path in (folder, *folder.rglob("*")):
        path.chmod(0o755)
    assert said == "42\n"
    assert _bytecode(folder) == before


def test_the_same_build_gives_the_same_bytecode_anywhere(tmp_path: Path) -> None:
    """Bytecode does not depend on machine, folder or time, so an unchanged artifact is not uploaded again."""
    one, other = _build(tmp_path / "one"), _build(tmp_path / "elsewhere" / "other")
    compile_build(one, version=(3, 13))
    compile_build(other, version=(3, 13))

    assert _bytecode(one) == _bytecode(other) != {}


def test_another_python_than_the_functions_is_refused(tmp_path: Path) -> None:
    """AWS would silently ignore bytecode of another version, and only the bill would show it."""
    build = _build(tmp_path)

    with pytest.raises(NotCompiled, match=r"Python 3\.13, but this is Python 3\.14"):
        compile_build(build, version=(3, 14))
    assert _bytecode(build) == {}


def test_a_module_that_does_not_compile_fails_the_build(tmp_path: Path) -> None:
    """A module with a syntax error fails the build."""
    with pytest.raises(NotCompiled, match="ApiFunction does not compile"):
        compile_build(_build(tmp_path, source="def"), version=(3, 13))


def test_without_a_build_there_is_nothing_to_compile(tmp_path: Path) -> None:
    """The error names the command to run first."""
    with pytest.raises(NotCompiled, match="sam build"):
        compile_build(tmp_path, version=(3, 13))
