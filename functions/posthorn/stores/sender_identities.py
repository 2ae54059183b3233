"""The sender identities of each workspace, in the ConfigTable under their workspace."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

from posthorn.aws.clients import call
from posthorn.domain.sender_identity import SenderIdentity
from posthorn.stores import batches, items
from posthorn.stores.items import n, s
from posthorn.stores.table import NEW, Table
from posthorn.stores.tables import PK, ROW_VERSION, SK

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from mypy_boto3_dynamodb import DynamoDBClient

    from posthorn.stores.items import Item

_PREFIX: Final = "sender_identity#"


class SenderIdentities:
    """The sender identities of every workspace."""

    def __init__(self, dynamodb: DynamoDBClient, table: str) -> None:
        self._table = Table(dynamodb, table)

    def register(self, one: SenderIdentity) -> tuple[SenderIdentity, bool]:
        """Write an identity unless it exists, and note whether it has a tenant.

        Returns the identity, and whether it is new.
        """
        row = self._table.put_or_find(_to_item(one), condition=NEW)
        found = _from_item(row)
        if found == one:
            return one, True
        if found.has_tenant != one.has_tenant:
            self._table.update(
                _key_of(one.workspace, one.name),
                "SET has_tenant = :has_tenant",
                condition="attribute_exists(pk)",
                ExpressionAttributeValues={":has_tenant": {"BOOL": one.has_tenant}},
            )
        return replace(found, has_tenant=one.has_tenant), False

    def get(self, workspace: str, name: str) -> SenderIdentity | None:
        row = self._table.get(_key_of(workspace, name))
        return None if row is None else _from_item(row)

    def get_many(self, workspace: str, names: Sequence[str]) -> dict[str, SenderIdentity]:
        """Return those of the named identities that exist, by name."""
        found: dict[str, SenderIdentity] = {}
        for chunk in batches.chunks(names, batches.READ_LIMIT):
            keys = [_key_of(workspace, name) for name in chunk]
            wanted = {self._table.name: {"Keys": keys, "ConsistentRead": True}}
            for row in batches.read(self._table.client, wanted)[self._table.name]:
                one = _from_item(row)
                found[one.name] = one
        return found

    def page(
        self, workspace: str, *, after: str | None, limit: int | None = None
    ) -> tuple[list[SenderIdentity], str | None]:
        """Return identities in the order of their names, and the name after which the next page starts, if any."""
        page = self._table.query_prefix(workspace, _PREFIX, after=after, limit=limit, ConsistentRead=True)
        return [_from_item(row) for row in page.rows], page.position(prefix=_PREFIX)

    def of_workspace(self, workspace: str) -> Iterator[SenderIdentity]:
        after: str | None = None
        while True:
            found, after = self.page(workspace, after=after)
            yield from found
            if after is None:
                return

    def remove(self, one: SenderIdentity) -> None:
        call(
            self._table.client.delete_item,
            TableName=self._table.name,
            Key=_key_of(one.workspace, one.name),
        )


def _key_of(workspace: str, name: str) -> Item:
    return {PK: s(workspace), SK: s(_PREFIX + name)}


def _to_item(one: SenderIdentity) -> Item:
    return {
        **_key_of(one.workspace, one.name),
        "v": n(ROW_VERSION),
        "created_at": n(one.created_at),
        "has_tenant": {"BOOL": one.has_tenant},
    }


def _from_item(item: Mapping[str, Any]) -> SenderIdentity:
    return SenderIdentity(
        workspace=items.text(item, PK),
        name=items.text(item, SK).removeprefix(_PREFIX),
        created_at=items.number(item, "created_at"),
        has_tenant=items.flag(item, "has_tenant", default=False),
    )
