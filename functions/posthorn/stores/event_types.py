"""A workspace's own event types in the ConfigTable: `pk` is the workspace, `sk` is `event-type#<canonical name>`.

Each has one of `MAX_OWN` slots, so the limit holds for concurrent requests too.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

from posthorn.domain.compare_and_set import compare_and_set
from posthorn.domain.errors import Malformed, Unavailable
from posthorn.domain.event_types import EventType
from posthorn.domain.limits import MAX_OWN
from posthorn.domain.matching import canonical, canonical_starts, matches
from posthorn.stores import items
from posthorn.stores.items import n, s
from posthorn.stores.slots import Slots
from posthorn.stores.table import NEW, Table
from posthorn.stores.tables import PK, ROW_VERSION, SK

if TYPE_CHECKING:
    from collections.abc import Mapping

    from mypy_boto3_dynamodb import DynamoDBClient

    from posthorn.stores.items import Item

_PREFIX: Final = "event-type#"

_LOOKED_AT: Final = 10  # types at a time: nearly always, the first one matches


class EventTypes:
    """The event types that workspaces created."""

    def __init__(self, dynamodb: DynamoDBClient, table: str) -> None:
        self._table = Table(dynamodb, table)
        self._slots = Slots(self._table, "event-type")

    def create(self, workspace: str, one: EventType) -> bool:
        """Write a new type; false if there is one with this name, or there are `MAX_OWN` already."""
        return compare_and_set(
            lambda: self._create_once(workspace, one), contended=Unavailable("create event type", "Contended")
        )

    def _create_once(self, workspace: str, one: EventType) -> bool | None:
        """Write a new type into a free slot; None if another type took the slot meanwhile."""
        slot = self._slots.free(workspace, limit=MAX_OWN)
        if slot is None:
            return False
        item = {**_to_item(workspace, one), "slot": n(slot)}
        put = {"Put": {"TableName": self._table.name, "Item": item, "ConditionExpression": NEW}}
        if self._table.transact(put, self._slots.take(workspace, slot)):
            return True
        return None if self.get(workspace, one.name) is None else False

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
        return compare_and_set(
            lambda: self._delete_once(workspace, name),
            contended=Unavailable("delete event type", "Contended"),
        )

    def _delete_once(self, workspace: str, name: str) -> bool | None:
        """Delete a type and free its slot; None if the type changed meanwhile."""
        row = self._table.get(_key(workspace, name))
        if row is None:
            return False
        slot = items.number(row, "slot")
        deleted = self._table.transact(
            {
                "Delete": {
                    "TableName": self._table.name,
                    "Key": _key(workspace, name),
                    "ConditionExpression": "slot = :slot",
                    "ExpressionAttributeValues": {":slot": n(slot)},
                }
            },
            self._slots.give_back(workspace, slot),
        )
        return deleted or None


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
