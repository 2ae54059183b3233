"""Secrets of the installation itself in the ConfigTable: `pk` is `system`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from posthorn.stores import items
from posthorn.stores.items import n, s
from posthorn.stores.table import NEW, Table
from posthorn.stores.tables import PK, ROW_VERSION, SK

if TYPE_CHECKING:
    from collections.abc import Callable

    from mypy_boto3_dynamodb import DynamoDBClient

_CURSOR_KEY: Final = {PK: s("system"), SK: s("cursor-key")}


class InstallationSecrets:
    """Rows that belong to no workspace."""

    def __init__(self, dynamodb: DynamoDBClient, table: str) -> None:
        self._table = Table(dynamodb, table)

    def cursor_key(self, make: Callable[[], bytes]) -> bytes:
        """Return the sealed key of all cursors; the first call makes it."""
        row = self._table.get(_CURSOR_KEY)
        if row is None:
            made = {**_CURSOR_KEY, "v": n(ROW_VERSION), "sealed": {"B": make()}}
            row = self._table.put_or_find(made, condition=NEW)
        return items.binary(row, "sealed")
