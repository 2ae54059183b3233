"""The source of functions/posthorn as data: its modules, their syntax trees and their imports."""

from __future__ import annotations

import ast
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import TYPE_CHECKING, Final

from tests.template import ROOT

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

FUNCTIONS: Final = ROOT / "functions"


@dataclass(frozen=True)
class Import:
    """One imported name. `of` is dotted and may end in a class or function: `posthorn.models.Event`."""

    of: str
    line: int
    for_types_only: bool

    def is_of(self, name: str) -> bool:
        """Return whether the import is of this package or module, or of something inside it."""
        return self.of == name or self.of.startswith(f"{name}.")


@dataclass(frozen=True)
class Module:
    """One module, by its Python name."""

    name: str
    source: str

    @cached_property
    def tree(self) -> ast.Module:
        return ast.parse(self.source)

    @cached_property
    def imports(self) -> list[Import]:
        """Every import, including those inside functions."""
        return list(_imports(self.tree, for_types_only=False))


@lru_cache(maxsize=1)
def modules() -> dict[str, Module]:
    """Return every module below functions/, by name."""
    return {name: Module(name, path.read_text(encoding="utf-8")) for name, path in _files()}


def imported_modules(module: Module, *, at_runtime: bool = False) -> set[str]:
    """Return the modules of ours that a module imports; only those imported at run time if `at_runtime`."""
    known = modules()
    found = set()
    for one in module.imports:
        if one.for_types_only and at_runtime:
            continue
        name = one.of if one.of in known else one.of.rpartition(".")[0]
        if name in known:
            found.add(name)
    return found


def _files() -> Iterator[tuple[str, Path]]:
    for path in sorted(FUNCTIONS.rglob("*.py")):
        parts = path.relative_to(FUNCTIONS).with_suffix("").parts
        yield ".".join(parts[:-1] if parts[-1] == "__init__" else parts), path


def _imports(tree: ast.AST, *, for_types_only: bool) -> Iterator[Import]:
    for node in ast.iter_child_nodes(tree):
        match node:
            case ast.Import():
                for alias in node.names:
                    yield Import(alias.name, node.lineno, for_types_only)
            case ast.ImportFrom(module=str() as module, level=0):
                for alias in node.names:
                    yield Import(f"{module}.{alias.name}", node.lineno, for_types_only)
            case ast.ImportFrom():
                raise AssertionError(f"line {node.lineno}: imports must be absolute")
            case ast.If(test=ast.Name(id="TYPE_CHECKING")):
                yield from _imports(node, for_types_only=True)
            case _:
                yield from _imports(node, for_types_only=for_types_only)
