"""DynamoDB's own arithmetic: how large an item is, and how many units a call takes.

From the developer guide's pages on item sizes and on capacity consumption. An emulator's consumed capacity is not that.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

type Item = Mapping[str, Any]

WRITE_UNIT: Final = 1024
READ_UNIT: Final = 4096


@dataclass(frozen=True, slots=True)
class Index:
    """What a global secondary index copies of an item."""

    keys: tuple[str, ...]  # its own and its table's: an item that lacks one has no entry
    projected: tuple[str, ...] | None = ()  # beside the keys; None is everything


def item_size(item: Item) -> int:
    """Return the bytes of an item: names and values."""
    return sum(len(name.encode()) + _value_size(value) for name, value in item.items())


def write_units(before: Item | None, after: Item | None) -> int:
    """Return the units of one write: the larger of both sizes, per started kilobyte, and never nothing."""
    size = max(item_size(before or {}), item_size(after or {}))
    return max(1, math.ceil(size / WRITE_UNIT))


def index_units(before: Item | None, after: Item | None, index: Index) -> int:
    """Return what a write costs in an index: nothing if its entry stays as it is."""
    old = _entry(before, index)
    new = _entry(after, index)
    if old == new:
        return 0
    if old is None or new is None or all(old[name] == new[name] for name in index.keys):
        return write_units(old, new)
    return write_units(old, None) + write_units(None, new)  # a key that changes moves the entry


def read_units(sizes: Iterable[int], *, consistent: bool) -> float:
    """Return the units of reading items one by one; an item that is not there has size 0 and costs as a small one."""
    whole = sum(max(1, math.ceil(size / READ_UNIT)) for size in sizes)
    return whole if consistent else whole / 2


def query_units(sizes: Iterable[int], *, consistent: bool) -> float:
    """Return the units of one page of a query, which adds the items up before it rounds."""
    whole = max(1, math.ceil(sum(sizes) / READ_UNIT))
    return whole if consistent else whole / 2


def _entry(item: Item | None, index: Index) -> Item | None:
    if item is None or any(name not in item for name in index.keys):
        return None
    if index.projected is None:
        return item
    return {name: item[name] for name in (*index.keys, *index.projected) if name in item}


def _value_size(value: Mapping[str, Any]) -> int:
    ((kind, content),) = value.items()
    match kind:
        case "S":
            return len(str(content).encode())
        case "N":
            # two digits a byte, and one more
            digits = content.lstrip("-").replace(".", "").strip("0")
            return math.ceil(len(digits) / 2) + 1 + int(content.startswith("-"))
        case "B":
            return len(content)
        case "BOOL" | "NULL":
            return 1
        case "L":
            return 3 + sum(1 + _value_size(element) for element in content)
        case "M":
            return 3 + sum(1 + len(name.encode()) + _value_size(one) for name, one in content.items())
    raise ValueError(f"no row of ours has an attribute of type {kind}")
