"""How the details of problem documents may not begin: they say what must be true, not what was refused."""

from __future__ import annotations

import ast
import re
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

BANNED: Final = re.compile(r"This (is|has|holds|may)\b")


def banned_details(problem: Mapping[str, Any]) -> list[str]:
    """Return the details of a problem document that begin as none should."""
    errors = problem.get("errors", [])
    details = [problem["detail"], *(error["detail"] for error in errors)]
    return [detail for detail in details if BANNED.match(detail)]


def banned_texts(tree: ast.Module) -> list[str]:
    """Return the text literals of a module that begin as no detail should, whatever they are used for."""
    return [text for text in _texts(tree) if BANNED.match(text)]


def _texts(tree: ast.Module) -> Iterator[str]:
    docstrings = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in docstrings:
            yield node.value
