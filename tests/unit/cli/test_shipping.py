"""The command's libraries are not shipped to Lambda, and nothing there asks for them."""

from __future__ import annotations

import re
import tomllib
from typing import TYPE_CHECKING

import pytest

from tests.modules import Module, modules
from tests.template import ROOT

if TYPE_CHECKING:
    from collections.abc import Iterator

EXTRA: list[str] = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"][
    "optional-dependencies"
]["cli"]
NAMES = [re.split(r"[^\w-]", requirement)[0] for requirement in EXTRA]
OTHERS = ["click", "shellingham", "posthorn_cli"]


def _imports_the_command(module: Module) -> Iterator[int]:
    allowed = {"boto3"} if module.name == "posthorn.aws.clients" else set()  # Lambda's runtime has it
    yield from (one.line for one in module.imports for name in {*NAMES, *OTHERS} - allowed if one.is_of(name))


def test_no_function_imports_the_command() -> None:
    """Not even late: it would not be there."""
    assert {
        name: lines for name, module in modules().items() if (lines := list(_imports_the_command(module)))
    } == {}


@pytest.mark.parametrize(
    "source", ["import typer", "from rich.table import Table", "from posthorn_cli import keys"]
)
def test_an_import_of_the_command_is_noticed(source: str) -> None:
    """So the test above can fail."""
    assert list(_imports_the_command(Module("posthorn.stores.broken", source)))


def test_the_artifact_has_none_of_its_libraries() -> None:
    """functions/requirements.txt is compiled without the extra."""
    shipped = re.findall(
        r"^([\w-]+)==", (ROOT / "functions" / "requirements.txt").read_text("utf-8"), re.MULTILINE
    )
    assert "pydantic" in shipped
    assert set(NAMES) == {"boto3", "rich", "typer"}
    assert {*NAMES, *OTHERS} & set(shipped) == set()
