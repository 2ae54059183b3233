"""What greets a contributor: the workflow, Dependabot, the hooks, the templates and the make targets."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import pytest
import yaml

from tests.template import ROOT

if TYPE_CHECKING:
    from collections.abc import Iterator

BIN: Final = Path(sys.executable).parent
WORKFLOWS: Final = sorted(ROOT.glob(".github/workflows/*.yml"))
SCHEMAS: Final = [("vendor.github-workflows", path) for path in WORKFLOWS] + [
    ("vendor.dependabot", ROOT / ".github" / "dependabot.yml")
]
MAKEFILE: Final = ROOT.joinpath("Makefile").read_text("utf-8")


def read(path: str) -> Any:
    return yaml.safe_load(ROOT.joinpath(path).read_text("utf-8"))


def steps() -> Iterator[dict[str, Any]]:
    """Yield every step of every workflow; there are some."""
    found = [
        step
        for path in WORKFLOWS
        for job in yaml.safe_load(path.read_text("utf-8"))["jobs"].values()
        for step in job["steps"]
    ]
    assert found
    yield from found


@pytest.mark.parametrize(("schema", "path"), SCHEMAS, ids=[path.name for _, path in SCHEMAS])
def test_github_can_read_its_files(schema: str, path: Path) -> None:
    """Each file is valid by GitHub's published schema, in the copy that check-jsonschema brings."""
    done = subprocess.run(
        [BIN / "check-jsonschema", "--builtin-schema", schema, path],
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == 0, done.stdout


def test_the_workflow_runs_what_ci_runs() -> None:
    """One command, which is the same on every machine, on pushes to main and on pull requests."""
    workflow = read(".github/workflows/ci.yml")

    assert [step["run"] for step in steps() if "run" in step] == [".ci/run"]
    assert set(workflow[True]) == {"push", "pull_request"}  # YAML 1.1 reads the key `on` as true
    assert "exec make test\n" in ROOT.joinpath(".ci/run").read_text("utf-8")


def test_the_workflow_uses_the_versions_that_the_project_needs() -> None:
    """Python is the one of .python-version, which the package demands too; Node is the one the README names."""
    options = {step["uses"].partition("@")[0]: step.get("with", {}) for step in steps() if "uses" in step}
    project = tomllib.loads(ROOT.joinpath("pyproject.toml").read_text("utf-8"))["project"]
    version = ROOT.joinpath(options["actions/setup-python"]["python-version-file"]).read_text("utf-8").strip()
    node = options["actions/setup-node"]["node-version"]

    assert f">={version}," in project["requires-python"]
    assert f"Node {node} " in ROOT.joinpath("README.md").read_text("utf-8")


def test_the_workflow_may_only_read() -> None:
    """The token can read the code and nothing else, is not left in the checkout, and actions are pinned."""
    for path in WORKFLOWS:
        assert yaml.safe_load(path.read_text("utf-8"))["permissions"] == {"contents": "read"}, path
    for step in steps():
        if "uses" in step:
            assert re.fullmatch(r"actions/[a-z-]+@(v\d+|[0-9a-f]{40})", step["uses"]), step
            if step["uses"].startswith("actions/checkout@"):
                assert step["with"]["persist-credentials"] is False


def test_dependabot_watches_every_lock() -> None:
    """Each folder with a requirements lock or a package.json is listed, and so are the actions."""
    watched: dict[str, set[str]] = {}
    for update in read(".github/dependabot.yml")["updates"]:
        folders = update.get("directories") or [update["directory"]]
        watched.setdefault(update["package-ecosystem"], set()).update(folders)
    node = {
        f"/{path.parent.relative_to(ROOT)}"
        for folder in ("functions", "infra", "tests")
        for path in ROOT.joinpath(folder).rglob("package.json")
        if "node_modules" not in path.parts
    }
    locks = [*ROOT.glob("functions/requirements*.txt"), *ROOT.glob("infra/requirements/*.txt")]
    python = {f"/{path.parent.relative_to(ROOT)}" for path in locks}

    assert python
    assert watched["pip"] == python | {"/"}
    assert watched["npm"] == node
    assert watched["github-actions"] == {"/"}


def test_dependabot_leaves_pinned_versions_alone() -> None:
    """Versions that pyproject.toml pins are old on purpose: they are ignored there, and nobody watches their locks."""
    groups = tomllib.loads(ROOT.joinpath("pyproject.toml").read_text("utf-8"))["dependency-groups"]
    pinned = {
        name: {one.partition("==")[0] for one in group if isinstance(one, str) and "==" in one}
        for name, group in groups.items()
    }
    locks = {
        name: ROOT / "infra" / "requirements" / f"{name.replace('-', '/', 1)}.txt"
        for name in pinned
        if pinned[name]
    }
    updates = [one for one in read(".github/dependabot.yml")["updates"] if one["package-ecosystem"] == "pip"]
    (project,) = (one for one in updates if "/" in [one.get("directory"), *one.get("directories", ())])
    watched = {folder for one in updates for folder in one.get("directories", [one.get("directory")])}

    assert locks.keys() == {"boto3-oldest", "boto3-middle"}
    assert {one["dependency-name"] for one in project["ignore"]} == set().union(*pinned.values())
    for name, lock in locks.items():
        assert f"/{lock.parent.relative_to(ROOT)}" not in watched
        versions = dict(re.findall(r"^(boto3|botocore)==(\S+)", lock.read_text("utf-8"), re.MULTILINE))
        assert [f"{package}=={versions[package]}" for package in sorted(pinned[name])] == sorted(
            groups[name][:2]
        )


def test_the_boto3_of_older_runtimes_is_tested() -> None:
    """The stage of unit tests runs those of aws and stores with each pinned version; the newest is the one locked."""
    done = subprocess.run(["make", "-n", "test-unit"], cwd=ROOT, capture_output=True, text=True, check=True)

    for version in ("oldest", "middle"):
        (line,) = re.findall(rf"\.venv/boto3/{version}/bin/pytest (.*)", done.stdout)
        assert "tests/unit/aws tests/unit/stores" in line
    assert "boto3==1.35" in ROOT.joinpath("infra/requirements/boto3/oldest.txt").read_text("utf-8")


def test_hooks_are_the_locked_tools() -> None:
    """Every hook is local and runs a program of the development environment, so no hook has a version of its own."""
    hooks = [
        hook
        for repository in read(".pre-commit-config.yaml")["repos"]
        for hook in repository["hooks"]
        if repository["repo"] == "local"
    ]

    assert len(hooks) == sum(len(one["hooks"]) for one in read(".pre-commit-config.yaml")["repos"])
    for hook in hooks:
        program = hook["entry"].split()[0]
        assert program.startswith(".venv/bin/"), hook
        assert (BIN / Path(program).name).exists(), hook


def test_pre_commit_can_read_the_hooks() -> None:
    """The file is valid by pre-commit's own schema."""
    done = subprocess.run(
        [BIN / "pre-commit", "validate-config", ROOT / ".pre-commit-config.yaml"],
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize("name", ["bug", "feature"])
def test_an_issue_form_has_what_github_requires(name: str) -> None:
    """A form has a name, a description and fields, whose ids are unique and whose labels are there."""
    form = read(f".github/ISSUE_TEMPLATE/{name}.yml")
    fields = [field for field in form["body"] if field["type"] != "markdown"]

    assert form["name"]
    assert form["description"]
    assert len({field["id"] for field in fields}) == len(fields) > 0
    assert all(field["attributes"]["label"] for field in fields)
    assert any(field.get("validations", {}).get("required") for field in fields)


@pytest.mark.parametrize("target", ["check", "unit", "coverage", "lint", "test", "demo", "setup", "help"])
def test_make_help_lists_the_targets_of_a_contributors_day(target: str) -> None:
    """Each is described in `make help`, and each is phony, so that a file of its name never hides it."""
    done = subprocess.run(["make", "help"], cwd=ROOT, capture_output=True, text=True, check=True)
    phony = {name for line in re.findall(r"^\.PHONY: (.*)$", MAKEFILE, re.MULTILINE) for name in line.split()}

    assert re.search(rf"^  {target} +\S", done.stdout, re.MULTILINE)
    assert target in phony


def test_check_is_lint_and_unit_tests() -> None:
    """`make check` runs ruff, mypy and the unit tests, and nothing that takes minutes."""
    done = subprocess.run(["make", "-n", "check"], cwd=ROOT, capture_output=True, text=True, check=True)

    for command in ("ruff check", "ruff format --check", "mypy", "tests/unit"):
        assert command in done.stdout
    assert "tests/integration" not in done.stdout


def test_coverage_has_a_floor() -> None:
    """`make coverage` counts branches of the whole package and fails below its floor, which is above 95 %."""
    coverage = tomllib.loads(ROOT.joinpath("pyproject.toml").read_text("utf-8"))["tool"]["coverage"]

    assert coverage["run"]["branch"] is True
    assert coverage["run"]["source_pkgs"] == ["posthorn"]
    assert coverage["report"]["fail_under"] > 95
    done = subprocess.run(["make", "-n", "coverage"], cwd=ROOT, capture_output=True, text=True, check=True)
    runs = [line for line in done.stdout.splitlines() if "--cov " in f"{line} "]
    assert [line.split()[-1] for line in runs] == ["tests/unit", "tests/integration"]
    # the floor counts once both stages have run
    assert ["--cov-fail-under=0" in line for line in runs] == [True, False]
    assert "--cov-append" in runs[1]
