"""Adds bytecode to the output of `sam build`, so that cold starts need not compile: run by `make build`.

`/var/task` is read-only, so without bytecode a function compiles everything at every cold start. Timestamps
do not survive packaging; `unchecked-hash` bytecode stays valid regardless (PEP 552).
"""

from __future__ import annotations

import argparse
import compileall
import re
import sys
from pathlib import Path
from py_compile import PycInvalidationMode
from typing import Final

BUILD: Final = Path(__file__).parent.parent / ".aws-sam" / "build"
TASK: Final = "/var/task"
"""The folder into which Lambda unpacks a function. Tracebacks show it instead of the build machine's path."""

_RUNTIME: Final = re.compile(r"^ *Runtime: python(\d+)\.(\d+) *$", re.MULTILINE)


class NotCompiled(Exception):
    """Bytecode could not be made; the text says why."""


def functions(build: Path) -> list[Path]:
    """Return the folders of a build, one per function."""
    if not (build / "template.yaml").is_file():
        raise NotCompiled(f"{build} has no build; run `sam build` first")
    return sorted(path for path in build.iterdir() if path.is_dir())


def runtime(build: Path) -> tuple[int, int]:
    """Return the Python version that the built template requires."""
    found = {
        (int(major), int(minor))
        for major, minor in _RUNTIME.findall((build / "template.yaml").read_text("utf-8"))
    }
    if len(found) != 1:
        raise NotCompiled(f"the template must have exactly one Python runtime, but has {len(found)}")
    return found.pop()


def compile_build(build: Path, *, version: tuple[int, int]) -> int:
    """Write `unchecked-hash` bytecode beside every source file; return the number of functions."""
    folders = functions(build)
    wanted = runtime(build)
    if wanted != version:
        raise NotCompiled(
            f"the functions run on Python {wanted[0]}.{wanted[1]}, but this is Python {version[0]}.{version[1]},"
            " whose bytecode they would ignore"
        )
    for folder in folders:
        made = compileall.compile_dir(
            folder,
            maxlevels=50,
            quiet=1,
            force=True,
            invalidation_mode=PycInvalidationMode.UNCHECKED_HASH,
            stripdir=str(folder),
            prependdir=TASK,
        )
        if not made:
            raise NotCompiled(f"{folder.name} does not compile; see the error above")
    return len(folders)


def main() -> int:
    """Compile the repository's build, or the given one."""
    parser = argparse.ArgumentParser(prog="python -m infra.bytecode", description=__doc__)
    parser.add_argument("build", nargs="?", type=Path, default=BUILD, help="default: .aws-sam/build")
    options = parser.parse_args()
    try:
        count = compile_build(options.build, version=sys.version_info[:2])
    except NotCompiled as error:
        print(f"bytecode: {error}", file=sys.stderr)
        return 1
    print(f"compiled {count} functions for Python {sys.version_info[0]}.{sys.version_info[1]}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
