"""DynamoDB's own arithmetic: item sizes and consumed units.

It follows the developer guide's pages on item sizes and capacity consumption. An emulator's figures differ.
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
    """The attributes of an item that a global secondary index copies."""

    keys: tuple[str, ...]  # the index's and the table's: an item that lacks one has no entry
    projected: tuple[str, ...] | None = ()  # besides the keys; None means all


def item_size(item: Item) -> int:
    """Return the bytes of an item: names and values."""
    return sum(len(name.encode()) + _value_size(value) for name, value in item.items())


def write_units(before: Item | None, after: Item | None) -> int:
    """Return the units of one write: one per started kilobyte of the larger version, and at least one."""
    size = max(item_size(before or {}), item_size(after or {}))
    return max(1, math.ceil(size / WRITE_UNIT))


def index_units(before: Item | None, after: Item | None, index: Index) -> int:
    """Return the units of a write in an index: none if its entry does not change."""
    old = _entry(before, index)
    new = _entry(after, index)
    if old == new:
        return 0
    if old is None or new is None or all(old[name] == new[name] for name in index.keys):
        return write_units(old, new)
    return write_units(old, None) + write_units(None, new)  # a changed key moves the entry


def read_units(sizes: Iterable[int], *, consistent: bool) -> float:
    """Return the units of reading items one by one; a missing item (size 0) costs as much as a small one."""
    whole = sum(max(1, math.ceil(size / READ_UNIT)) for size in sizes)
    return whole if consistent else whole / 2


def query_units(sizes: Iterable[int], *, consistent: bool) -> float:
    """Return the units of one page of a query, which adds item sizes before rounding."""
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
            # two digits per byte, plus one byte
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
    raise ValueError(f"unsupported attribute type: {kind}")
