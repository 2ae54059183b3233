"""The descriptions of an answer's fields: the docstrings below them."""

import ast
import inspect
from collections.abc import Iterator
from itertools import pairwise
from types import get_original_bases
from typing import is_typeddict


def fields_of(shape: type) -> dict[str, str]:
    """Return the description of each field of a TypedDict, inherited ones included."""
    found: dict[str, str] = {}
    for base in get_original_bases(shape):
        if is_typeddict(base):
            found |= fields_of(base)
    return found | dict(_own_fields(shape))


def _own_fields(shape: type) -> Iterator[tuple[str, str]]:
    source = ast.parse(inspect.getsource(shape))
    for field, below in pairwise(statement for one in source.body for statement in getattr(one, "body", ())):
        match field, below:
            case ast.AnnAssign(target=ast.Name(id=name)), ast.Expr(value=ast.Constant(value=str(text))):
                yield name, " ".join(text.split())
