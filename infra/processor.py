"""Writes the processor of a build into its template, so that it cannot be deployed for another: run by `make build`.

The wheels decide on which processor the functions start, but `sam deploy` asks for it again, and a wrong answer
makes functions that fail at their first import.
"""

from __future__ import annotations

import argparse
import re
import sys
from pathlib import Path
from typing import Final

BUILD: Final = Path(__file__).parent.parent / ".aws-sam" / "build"

# e_machine in the header of an ELF file, by Lambda's name of the processor
_MACHINES: Final = {b"\x3e\x00": "x86_64", b"\xb7\x00": "arm64"}
_PARAMETER: Final = re.compile(r"^  Architecture:\n(?: {4}.*\n)+", re.MULTILINE)
_DEFAULT: Final = re.compile(r"^    Default: .*\n", re.MULTILINE)
_ALLOWED: Final = re.compile(r"^    AllowedValues:\n(?: {4,}- .*\n)+", re.MULTILINE)


class UnknownProcessor(Exception):
    """The build does not tell its processor; the text says why."""


def processor_of(build: Path) -> str:
    """Return the processor that the compiled libraries of a build are for."""
    machines = {_machine(path) for path in build.rglob("*.so")}
    if len(machines) != 1:
        raise UnknownProcessor(
            f"the libraries of a build must be for one processor, but are for {len(machines)}"
        )
    (machine,) = machines
    if machine not in _MACHINES:
        raise UnknownProcessor("the libraries of the build are for a processor that Lambda does not have")
    return _MACHINES[machine]


def fix_processor(build: Path) -> str:
    """Make the build's processor the only value of the parameter Architecture, and return it."""
    processor = processor_of(build)
    path = build / "template.yaml"
    text = path.read_text("utf-8")
    if (found := _PARAMETER.search(text)) is None:
        raise UnknownProcessor(f"{path} has no parameter Architecture")
    fixed, defaults = _DEFAULT.subn(f"    Default: {processor}\n", found[0])
    fixed, choices = _ALLOWED.subn(f"    AllowedValues:\n    - {processor}\n", fixed)
    if (defaults, choices) != (1, 1):
        raise UnknownProcessor(
            f"the parameter Architecture in {path} must have a default and a list of values"
        )
    path.write_text(text[: found.start()] + fixed + text[found.end() :], "utf-8")
    return processor


def _machine(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(20)[18:20]


def main() -> int:
    """Fix the processor of the repository's build, or of the given one."""
    parser = argparse.ArgumentParser(prog="python -m infra.processor", description=__doc__)
    parser.add_argument("build", nargs="?", type=Path, default=BUILD, help="default: .aws-sam/build")
    options = parser.parse_args()
    try:
        processor = fix_processor(options.build)
    except (UnknownProcessor, OSError) as error:
        print(f"processor: {error}", file=sys.stderr)
        return 1
    print(f"the build is for {processor}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
