"""The package as an operator installs it: a wheel, into an environment that has never seen the repository."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from typing import TYPE_CHECKING, Final
from zipfile import ZipFile

import pytest

from tests.template import ROOT

if TYPE_CHECKING:
    from pathlib import Path

PACKAGES: Final = {
    "posthorn": ROOT / "functions" / "posthorn",
    "posthorn_cli": ROOT / "infra" / "posthorn_cli",
}


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build the wheel as pip would, without fetching the build system again."""
    target = tmp_path_factory.mktemp("wheel")
    subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(target)],
        cwd=ROOT,
        check=True,
        capture_output=True,
    )
    (built,) = target.glob("*.whl")
    return built


@pytest.fixture(scope="module")
def environment(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Install the wheel with its extra, in the versions that are locked; returns the environment's bin/."""
    made = tmp_path_factory.mktemp("environment")
    locked = re.findall(
        r"^[\w.-]+==[^\s\\]+(?: ; .*?)?(?= \\$)",
        (ROOT / "infra" / "requirements" / "dev.txt").read_text("utf-8"),
        re.MULTILINE,
    )
    constraints = made / "constraints.txt"  # without hashes: a wheel that was built just now has none
    constraints.write_text("\n".join(locked), "utf-8")
    subprocess.run([sys.executable, "-m", "venv", str(made)], check=True)
    subprocess.run(
        [
            str(made / "bin" / "pip"),
            "install",
            "--quiet",
            "--no-compile",
            "--disable-pip-version-check",
            "--constraint",
            str(constraints),
            f"{wheel}[cli]",
        ],
        check=True,
        cwd=made,
    )
    return made / "bin"


def _posthorn(environment: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run the installed command, far from the repository, without this environment and a CI service's wish for colors."""
    bare = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("PYTHON", "VIRTUAL_ENV", "GITHUB_ACTIONS", "FORCE_COLOR", "PY_COLORS"))
    }
    return subprocess.run(
        [str(environment / "posthorn"), *arguments],
        cwd=environment,
        env=bare,
        capture_output=True,
        text=True,
        check=False,
    )


def test_the_wheel_holds_both_packages_with_their_data(wheel: Path) -> None:
    """Every file of theirs, JSON and HTML included, and nothing else but the metadata."""
    with ZipFile(wheel) as archive:
        names = {name for name in archive.namelist() if ".dist-info/" not in name}

    expected = {
        f"{package}/{path.relative_to(folder).as_posix()}"
        for package, folder in PACKAGES.items()
        for path in folder.rglob("*")
        if path.is_file() and path.suffix != ".pyc"
    }
    assert names == expected
    assert {
        "posthorn/py.typed",
        "posthorn/api/openapi.json",
        "posthorn/domain/event_types.json",
        "posthorn_cli/cost/counts.json",
        "posthorn_cli/cost/measured.json",
    } <= names


def test_the_installed_command_runs(environment: Path) -> None:
    """Version, a bill as text and as JSON, help, and one sentence where there are no credentials."""
    version = _posthorn(environment, "--version")
    text = _posthorn(environment, "cost", "--events", "2000000")
    document = json.loads(_posthorn(environment, "cost", "--events", "2000000", "--json").stdout)
    helped = _posthorn(environment, "redispatch", "--help")

    project = re.search(r'^version = "(.+)"$', (ROOT / "pyproject.toml").read_text("utf-8"), re.MULTILINE)
    assert project is not None
    assert (version.returncode, version.stdout, version.stderr) == (0, f"posthorn {project[1]}\n", "")
    assert (text.returncode, text.stderr) == (0, "")
    assert text.stdout.startswith("2,000,000 events of 2,048 bytes to 1 endpoint(s)")
    for one in document["estimates"]:
        assert f"{one['totalPerMillionDeliveries']:.2f}" in text.stdout
    assert "--since" in helped.stdout


def test_the_installed_command_finds_the_library_of_aws(environment: Path) -> None:
    """boto3 came with the extra: the profile is looked for, and is not there."""
    done = _posthorn(environment, "dead-letters", "--profile", "nobody-has-this-profile")

    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == "posthorn: There is no AWS profile named nobody-has-this-profile.\n"
