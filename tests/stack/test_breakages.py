"""Every contract of the template must notice its declared breakage."""

from __future__ import annotations

import importlib
import inspect
from pathlib import Path

import pytest

from posthorn.domain.errors import PosthornError
from tests.stack.breakages import BREAKAGES, Breakage
from tests.template import Template

# documents that quote the template, and copies of parts of it
NO_CONTRACTS = {"test_breakages", "test_linters", "test_moto_copies", "test_sample_events"}
MODULES = [
    importlib.import_module(f"tests.stack.{path.stem}")
    for path in sorted(Path(__file__).parent.glob("test_*.py"))
    if path.stem not in NO_CONTRACTS
]


@pytest.mark.parametrize(
    "breakage", BREAKAGES, ids=lambda one: f"{one.contract.__name__}: {one.new.strip()[:40]}"
)
def test_a_broken_template_is_noticed(stack: Template, breakage: Breakage) -> None:
    """The contract holds for the real template and not for the broken one."""
    assert breakage.old in stack.text
    breakage.contract(stack, **breakage.given)
    broken = Template(stack.text.replace(breakage.old, breakage.new))
    with pytest.raises((AssertionError, AttributeError, LookupError, ValueError, PosthornError)):
        breakage.contract(broken, **breakage.given)


def test_every_contract_was_broken_at_least_once() -> None:
    """Every test of the template declares a breakage."""
    contracts = {
        test
        for module in MODULES
        for name, test in inspect.getmembers(module, inspect.isfunction)
        if name.startswith("test_") and "stack" in inspect.signature(test).parameters
    }
    assert contracts == {breakage.contract for breakage in BREAKAGES}
