"""Places for a limited number of things of a workspace, in the ConfigTable: `sk` is `<kind>-slot#<number>`.

A thing is written in one transaction with a row for a free place, and deleted with that row. So the limit is exact
however many requests run at once, and no row is written by every request, as a row with a count would be.
"""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, Any, Final

from posthorn.stores import items
from posthorn.stores.items import n, s
from posthorn.stores.table import NEW
from posthorn.stores.tables import PK, ROW_VERSION, SK

if TYPE_CHECKING:
    from posthorn.stores.table import Table

_RANDOM: Final = random.SystemRandom()  # every clone of a snapshot must try another place


class Slots:
    """The places for one kind of thing."""

    def __init__(self, table: Table, kind: str) -> None:
        self._table = table
        self._prefix = f"{kind}-slot#"

    def free(self, workspace: str, *, limit: int) -> int | None:
        """Return a free place, one of many at random so that concurrent requests seldom meet; None if there is none."""
        taken: set[int] = set()
        after: str | None = None
        while True:
            page = self._table.query_prefix(workspace, self._prefix, after=after, ConsistentRead=True)
            taken |= {int(items.text(row, SK).removeprefix(self._prefix)) for row in page.rows}
            after = page.position(prefix=self._prefix)
            if after is None:
                break
        free = [slot for slot in range(limit) if slot not in taken]
        return _RANDOM.choice(free) if free else None

    def take(self, workspace: str, slot: int) -> dict[str, Any]:
        """Return the write of a transaction that takes a place; it fails if the place is taken."""
        item = {**self._key(workspace, slot), "v": n(ROW_VERSION)}
        return {"Put": {"TableName": self._table.name, "Item": item, "ConditionExpression": NEW}}

    def give_back(self, workspace: str, slot: int) -> dict[str, Any]:
        """Return the write of a transaction that frees a place."""
        return {"Delete": {"TableName": self._table.name, "Key": self._key(workspace, slot)}}

    def _key(self, workspace: str, slot: int) -> dict[str, Any]:
        return {PK: s(workspace), SK: s(f"{self._prefix}{slot}")}
