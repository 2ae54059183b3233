"""How many things of a kind a workspace has, in the ConfigTable: `pk` is the workspace, `sk` is `count#<kind>`.

The count changes in the transaction that writes or deletes the thing, so the two never differ, and a limit is a
condition of that transaction. Everything is counted, with a limit or without: a limit that is set later holds at once.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from posthorn.domain.errors import LimitReached
from posthorn.domain.workspace_limits import NONE
from posthorn.stores import batches, items
from posthorn.stores.items import n, s
from posthorn.stores.tables import PK, ROW_VERSION, SK

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from posthorn.stores.items import Item
    from posthorn.stores.table import Table

_PREFIX: Final = "count#"


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of thing to count, and the name and value of its limit."""

    name: str
    limit_name: str
    limit: int = NONE


class Counts:
    """The counts of every workspace."""

    def __init__(self, table: Table) -> None:
        self._table = table

    def add(self, workspace: str, kind: Kind) -> dict[str, Any]:
        """Return the write of a transaction that counts one more; it fails at the limit."""
        write = self._change(workspace, kind, 1)
        if kind.limit != NONE:
            write["ConditionExpression"] = "attribute_not_exists(pk) OR #number < :limit"
            write["ExpressionAttributeValues"][":limit"] = n(kind.limit)
        return {"Update": write}

    def subtract(self, workspace: str, kind: Kind) -> dict[str, Any]:
        """Return the write of a transaction that counts one less."""
        return {"Update": self._change(workspace, kind, -1)}

    def check(self, workspace: str, kinds: Iterable[Kind]) -> None:
        """Raise `LimitReached` if there are as many of a kind as its limit allows."""
        for kind in kinds:
            if kind.limit != NONE and self.number(workspace, kind.name) >= kind.limit:
                raise LimitReached(kind.limit_name, kind.limit)

    def number(self, workspace: str, name: str) -> int:
        """Return how many there are, read consistently."""
        return self.numbers([workspace], name)[workspace]

    def numbers(self, workspaces: Sequence[str], name: str) -> dict[str, int]:
        """Return how many each of up to 100 workspaces has, read consistently in one call."""
        keys = [_key(workspace, name) for workspace in workspaces]
        wanted = {self._table.name: {"Keys": keys, "ConsistentRead": True}}
        rows = batches.read(self._table.client, wanted)[self._table.name]
        return dict.fromkeys(workspaces, 0) | {
            items.text(row, PK): items.number(row, "number") for row in rows
        }

    def _change(self, workspace: str, kind: Kind, by: int) -> dict[str, Any]:
        return {
            "TableName": self._table.name,
            "Key": _key(workspace, kind.name),
            "UpdateExpression": "SET v = :v ADD #number :by",
            "ExpressionAttributeNames": {"#number": "number"},
            "ExpressionAttributeValues": {":v": n(ROW_VERSION), ":by": n(by)},
        }


def _key(workspace: str, name: str) -> Item:
    return {PK: s(workspace), SK: s(_PREFIX + name)}
