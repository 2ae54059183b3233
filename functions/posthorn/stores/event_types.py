"""Event types in the ConfigTable: `pk` is the owner, `sk` is `event-type#<canonical name>`.

The owner is a workspace, or `platform` for the types of all workspaces. Each type has one of its owner's `MAX_OWN`
slots, so the limit holds for concurrent requests too.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

from posthorn.domain.api_key import PLATFORM
from posthorn.domain.compare_and_set import compare_and_set
from posthorn.domain.errors import Malformed, Unavailable
from posthorn.domain.event_types import EventType, EventTypeSource
from posthorn.domain.limits import MAX_OWN
from posthorn.domain.matching import canonical, canonical_starts, matches
from posthorn.stores import batches, items
from posthorn.stores.items import n, s
from posthorn.stores.slots import Slots
from posthorn.stores.table import NEW, Table
from posthorn.stores.tables import PK, ROW_VERSION, SK

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from mypy_boto3_dynamodb import DynamoDBClient

    from posthorn.stores.items import Item

_PREFIX: Final = "event-type#"

_LOOKED_AT: Final = 10  # types at a time: nearly always, the first one matches


class EventTypes:
    """The event types that workspaces and the platform created."""

    def __init__(self, dynamodb: DynamoDBClient, table: str) -> None:
        self._table = Table(dynamodb, table)
        self._slots = Slots(self._table, "event-type")

    def create(self, owner: str, one: EventType) -> bool:
        """Write a new type; false if there is one with this name, or there are `MAX_OWN` already."""
        return compare_and_set(
            lambda: self._create_once(owner, one), contended=Unavailable("create event type", "Contended")
        )

    def _create_once(self, owner: str, one: EventType) -> bool | None:
        """Write a new type into a free slot; None if another type took the slot meanwhile."""
        slot = self._slots.free(owner, limit=MAX_OWN)
        if slot is None:
            return False
        item = {**_to_item(owner, one), "slot": n(slot)}
        put = {"Put": {"TableName": self._table.name, "Item": item, "ConditionExpression": NEW}}
        if self._table.transact(put, self._slots.take(owner, slot)):
            return True
        return None if self.get(owner, one.name) is None else False

    def get(self, owner: str, name: str) -> EventType | None:
        row = self._table.get(_key(owner, name))
        return None if row is None else _from_item(row)

    def get_many(self, keys: Iterable[tuple[str, str]]) -> dict[tuple[str, str], EventType]:
        """Return those types that exist, by owner and canonical name; one call reads up to 100."""
        return {(items.text(row, PK), _name(row)): _from_item(row) for row in self._rows(keys)}

    def names(self, owner: str, names: Iterable[str]) -> set[str]:
        """Return those of these canonical names that an owner has types with."""
        wanted = ((owner, name) for name in names)
        return {_name(row) for row in self._rows(wanted, ProjectionExpression=f"{PK}, {SK}")}

    def _rows(self, keys: Iterable[tuple[str, str]], **options: Any) -> list[Item]:
        rows: list[Item] = []
        for chunk in batches.chunks([_key(*key) for key in keys], batches.READ_LIMIT):
            wanted = {self._table.name: {"Keys": chunk, "ConsistentRead": True, **options}}
            rows += batches.read(self._table.client, wanted)[self._table.name]
        return rows

    def first_matching(self, owner: str, pattern: str) -> EventType | None:
        """Return the first type that a wildcard matches, None if there is none."""
        for start in canonical_starts(pattern):
            prefix = _PREFIX + start
            after: str | None = ""
            while after is not None:
                page = self._table.query_prefix(
                    owner, prefix, after=after or None, limit=_LOOKED_AT, ConsistentRead=True
                )
                found = (one for one in map(_from_item, page.rows) if matches([pattern], one.name))
                if (first := next(found, None)) is not None:
                    return first
                after = page.position(prefix=prefix)
        return None

    def page(self, owner: str, *, after: str | None, limit: int) -> tuple[list[EventType], str | None]:
        """Return types in the order of their names, and the name after which the next page starts, if any."""
        page = self._table.query_prefix(owner, _PREFIX, after=after, limit=limit, ConsistentRead=True)
        return [_from_item(row) for row in page.rows], page.position(prefix=_PREFIX)

    def change(self, owner: str, old: EventType, new: EventType) -> bool:
        """Set what a type means and how its data looks; false if `old` was deleted meanwhile."""
        item = _to_item(owner, new)
        changing = ("description", "example", "schema")
        sets = ", ".join(f"#{name} = :{name}" for name in changing if name in item)
        return self._table.update(
            _key(owner, old.name),
            f"SET {sets}" + ("" if "schema" in item else " REMOVE #schema"),
            condition="made_by = :old",
            ExpressionAttributeNames={f"#{name}": name for name in changing},
            ExpressionAttributeValues={
                ":old": s(old.made_by or ""),
                **{f":{name}": item[name] for name in changing if name in item},
            },
        )

    def delete(self, owner: str, name: str) -> bool:
        """Delete a type; false if there was none."""
        return compare_and_set(
            lambda: self._delete_once(owner, name),
            contended=Unavailable("delete event type", "Contended"),
        )

    def _delete_once(self, owner: str, name: str) -> bool | None:
        """Delete a type and free its slot; None if the type changed meanwhile."""
        row = self._table.get(_key(owner, name))
        if row is None:
            return False
        slot = items.number(row, "slot")
        deleted = self._table.transact(
            {
                "Delete": {
                    "TableName": self._table.name,
                    "Key": _key(owner, name),
                    "ConditionExpression": "slot = :slot",
                    "ExpressionAttributeValues": {":slot": n(slot)},
                }
            },
            self._slots.give_back(owner, slot),
        )
        return deleted or None


def _key(owner: str, name: str) -> Item:
    return {PK: s(owner), SK: s(_PREFIX + canonical(name))}


def _name(row: Mapping[str, Any]) -> str:
    return items.text(row, SK).removeprefix(_PREFIX)


def _to_item(owner: str, one: EventType) -> Item:
    item: Item = {
        **_key(owner, one.name),
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
        name=items.optional_text(item, "name") or _name(item),
        source=EventTypeSource.PLATFORM if items.text(item, PK) == PLATFORM else EventTypeSource.OWN,
        description=items.text(item, "description"),
        example=example,
        schema=items.optional_text(item, "schema"),
        created_at=items.number(item, "created_at"),
        made_by=items.optional_text(item, "made_by"),
    )
