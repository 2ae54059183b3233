"""A workspace's own event types in the ConfigTable: `pk` is the workspace, `sk` is `event-type#<canonical name>`.

One more row counts them. It changes in the same transaction, so the limit holds for concurrent requests too.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

from posthorn.domain.errors import Malformed
from posthorn.domain.event_types import EventType
from posthorn.domain.limits import MAX_OWN
from posthorn.domain.matching import canonical, canonical_starts, matches
from posthorn.stores import items
from posthorn.stores.items import n, s
from posthorn.stores.table import NEW, Table
from posthorn.stores.tables import PK, ROW_VERSION, SK

if TYPE_CHECKING:
    from collections.abc import Mapping

    from mypy_boto3_dynamodb import DynamoDBClient

    from posthorn.stores.items import Item

_PREFIX: Final = "event-type#"
_COUNT: Final = "event-type-count"

_LOOKED_AT: Final = 10  # types at a time: nearly always, the first one matches


class EventTypes:
    """The event types that workspaces created."""

    def __init__(self, dynamodb: DynamoDBClient, table: str) -> None:
        self._table = Table(dynamodb, table)

    def create(self, workspace: str, one: EventType) -> bool:
        """Write a new type; false if there is one with this name, or there are `MAX_OWN` already."""
        return self._table.transact(
            {
                "Put": {
                    "TableName": self._table.name,
                    "Item": _to_item(workspace, one),
                    "ConditionExpression": NEW,
                }
            },
            self._count(workspace, 1, "attribute_not_exists(types) OR types < :most", {":most": n(MAX_OWN)}),
        )

    def get(self, workspace: str, name: str) -> EventType | None:
        row = self._table.get(_key(workspace, name))
        return None if row is None else _from_item(row)

    def first_matching(self, workspace: str, pattern: str) -> EventType | None:
        """Return the first type that a wildcard matches, None if there is none."""
        for start in canonical_starts(pattern):
            prefix = _PREFIX + start
            after: str | None = ""
            while after is not None:
                page = self._table.query_prefix(
                    workspace, prefix, after=after or None, limit=_LOOKED_AT, ConsistentRead=True
                )
                found = (one for one in map(_from_item, page.rows) if matches([pattern], one.name))
                if (first := next(found, None)) is not None:
                    return first
                after = page.position(prefix=prefix)
        return None

    def page(self, workspace: str, *, after: str | None, limit: int) -> tuple[list[EventType], str | None]:
        """Return types in the order of their names, and the name after which the next page starts, if any."""
        page = self._table.query_prefix(workspace, _PREFIX, after=after, limit=limit, ConsistentRead=True)
        return [_from_item(row) for row in page.rows], page.position(prefix=_PREFIX)

    def delete(self, workspace: str, name: str) -> bool:
        """Delete a type; false if there was none."""
        return self._table.transact(
            {
                "Delete": {
                    "TableName": self._table.name,
                    "Key": _key(workspace, name),
                    "ConditionExpression": "attribute_exists(pk)",
                }
            },
            self._count(workspace, -1, "attribute_exists(types)", {}),
        )

    def _count(self, workspace: str, change: int, condition: str, values: Item) -> dict[str, Any]:
        return {
            "Update": {
                "TableName": self._table.name,
                "Key": {PK: s(workspace), SK: s(_COUNT)},
                "UpdateExpression": "ADD types :change SET v = :version",
                "ConditionExpression": condition,
                "ExpressionAttributeValues": {":change": n(change), ":version": n(ROW_VERSION), **values},
            }
        }


def _key(workspace: str, name: str) -> Item:
    return {PK: s(workspace), SK: s(_PREFIX + canonical(name))}


def _to_item(workspace: str, one: EventType) -> Item:
    item: Item = {
        **_key(workspace, one.name),
        "v": n(ROW_VERSION),
        "description": s(one.description),
        "example": s(json.dumps(one.example, ensure_ascii=False, separators=(",", ":"))),
    }
    if one.name != canonical(one.name):
        item["name"] = s(one.name)
    if one.schema is not None:
        item["schema"] = s(one.schema)
    if one.created_at is not None:
        item["created_at"] = n(one.created_at)
    if one.made_by is not None:
        item["made_by"] = s(one.made_by)
    return item


def _from_item(item: Mapping[str, Any]) -> EventType:
    try:
        example = json.loads(items.text(item, "example"))
    except ValueError as error:
        raise Malformed("the example of an event type is not JSON") from error
    return EventType(
        name=items.optional_text(item, "name") or items.text(item, SK).removeprefix(_PREFIX),
        description=items.text(item, "description"),
        example=example,
        schema=items.optional_text(item, "schema"),
        created_at=items.number(item, "created_at"),
        made_by=items.optional_text(item, "made_by"),
    )
