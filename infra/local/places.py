"""Paths: the repository, the environments that the Makefile creates, and the files of a running stack."""

import platform
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from infra.local.errors import StartFailed

REPOSITORY: Final = Path(__file__).resolve().parents[2]
TEMPLATE: Final = REPOSITORY / "template.yaml"
STATE: Final = REPOSITORY / ".local"

SAM: Final = REPOSITORY / ".venv/sam/bin/sam"
EMULATOR_PYTHON: Final = REPOSITORY / ".venv/emulator/bin/python"
LAMBDA_PYTHON: Final = REPOSITORY / ".venv/lambda/bin/python"  # with the packages of the Lambda runtime only

_LOG_TAIL = 20  # lines


@dataclass(frozen=True, slots=True)
class StateDirectory:
    """The files of one running stack. Stacks with different directories run side by side."""

    path: Path

    @property
    def lock(self) -> Path:
        return self.path / "lock"

    @property
    def description(self) -> Path:
        return self.path / "stack.json"

    @property
    def shell_environment(self) -> Path:
        """Variables for the AWS CLI and similar tools."""
        return self.path / "env"

    @property
    def temporary(self) -> Path:
        """The emulator's TMPDIR, where it unpacks functions."""
        return self.path / "tmp"

    def log(self, name: str) -> Path:
        return self.path / f"{name}.log"


def tail(log: Path) -> str:
    """Return the last lines of a log and the path of the whole."""
    lines = log.read_text(errors="replace").splitlines()[-_LOG_TAIL:]
    return "\n".join([*lines, f"(the whole log: {log})"])


def architecture() -> str:
    """Return this machine's architecture by Lambda's name; functions run on it directly."""
    known = {"x86_64": "x86_64", "aarch64": "arm64"}
    if sys.platform != "linux" or (machine := platform.machine()) not in known:
        raise StartFailed(
            f"functions are built for Lambda and need Linux on x86_64 or arm64; this is {platform.platform()}"
        )
    return known[machine]


def require_environments() -> None:
    """Raise unless the environments of the Makefile exist."""
    if missing := [str(tool) for tool in (SAM, EMULATOR_PYTHON, LAMBDA_PYTHON) if not tool.exists()]:
        raise StartFailed(f"{', '.join(missing)}: not found; run `make setup`")
