"""Configuration sets in the ConfigTable, under their workspace: one row per set and one that keeps its name unique.

A deleted set leaves a row for as long as its events and deliveries are kept, so that a purge of the workspace finds them.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

from posthorn.domain.compare_and_set import compare_and_set
from posthorn.domain.errors import Malformed, Unavailable
from posthorn.domain.models import ConfigurationSet, SetState, Suppression
from posthorn.stores import items
from posthorn.stores.counts import Counts, Kind
from posthorn.stores.items import n, s
from posthorn.stores.table import NEW, Table
from posthorn.stores.tables import PK, ROW_VERSION, SK, TTL, expiry

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

    from posthorn.stores.items import Item

SET: Final = "configuration_set#"
NAME: Final = "configuration_set_name#"
DELETED: Final = "deleted_configuration_set#"
_COUNTED: Final = Kind("configuration-sets", "configurationSets")


class ConfigurationSets:
    """The configuration sets of every workspace."""

    def __init__(self, dynamodb: DynamoDBClient, table: str, *, retention_days: int) -> None:
        self._table = Table(dynamodb, table)
        self._retention_days = retention_days
        self._counts = Counts(self._table)

    def create(self, one: ConfigurationSet, *, limit: int) -> bool:
        """Write a new set and reserve its name, both or neither; false if the name or the id is taken.

        `LimitReached` if there are as many sets as the limit allows.
        """
        name = {**_name_key(one.workspace, one.name), "v": n(ROW_VERSION), "id": s(one.id)}
        counted = replace(_COUNTED, limit=limit)

        def attempt() -> bool | None:
            count = self._counts.add(one.workspace, counted)
            if self._table.transact(self._put_new(name), self._put_new(_to_item(one)), count):
                return True
            if self._table.get(_name_key(one.workspace, one.name)) or self.get(one.workspace, one.id):
                return False
            self._counts.check(one.workspace, [counted])
            return None

        return compare_and_set(attempt, contended=Unavailable("create configuration set", "Contended"))

    def get(self, workspace: str, set_id: str) -> ConfigurationSet | None:
        row = self._table.get(set_key(workspace, set_id))
        return _from_item(row) if row else None

    def by_name(self, workspace: str, name: str) -> ConfigurationSet | None:
        row = self._table.get(_name_key(workspace, name))
        return self.get(workspace, items.text(row, "id")) if row else None

    def page(
        self, workspace: str, *, after: str | None, limit: int
    ) -> tuple[list[ConfigurationSet], str | None]:
        """Return sets, the oldest first, and the id after which the next page starts, if any."""
        page = self._table.query_prefix(workspace, SET, after=after, limit=limit, ConsistentRead=True)
        return [_from_item(row) for row in page.rows], page.position(prefix=SET)

    def move(self, old: ConfigurationSet, state: SetState) -> ConfigurationSet | None:
        """Move a set to another state; None if it has changed since `old` was read."""
        new = replace(old, state=state)
        return new if self._table.transact(self._replace(old, new)) else None

    def change(self, old: ConfigurationSet, new: ConfigurationSet) -> bool:
        """Replace a set, and its name if that changed; false if the name is taken or the set changed meanwhile."""
        if old.name == new.name:
            return self._table.transact(self._replace(old, new))
        name = {**_name_key(new.workspace, new.name), "v": n(ROW_VERSION), "id": s(new.id)}
        return self._table.transact(
            self._replace(old, new),
            self._put_new(name),
            {"Delete": {"TableName": self._table.name, "Key": _name_key(old.workspace, old.name)}},
        )

    def remove(self, one: ConfigurationSet, *, now_ms: int) -> None:
        """Delete a set in state `deleting` and free its name, unless that was done before."""
        deleted = {**buried(one.workspace, one.id), TTL: n(expiry(now_ms, self._retention_days))}
        self._table.transact(
            {
                "Delete": {
                    "TableName": self._table.name,
                    "Key": set_key(one.workspace, one.id),
                    "ConditionExpression": "#state = :deleting",
                    "ExpressionAttributeNames": {"#state": "state"},
                    "ExpressionAttributeValues": {":deleting": s(SetState.DELETING)},
                }
            },
            {
                "Delete": {
                    "TableName": self._table.name,
                    "Key": _name_key(one.workspace, one.name),
                    "ConditionExpression": "id = :id",  # another set may have taken the name by now
                    "ExpressionAttributeValues": {":id": s(one.id)},
                }
            },
            {"Put": {"TableName": self._table.name, "Item": deleted}},
            self._counts.subtract(one.workspace, _COUNTED),
        )

    def _put_new(self, item: Item) -> dict[str, Any]:
        return {"Put": {"TableName": self._table.name, "Item": item, "ConditionExpression": NEW}}

    def _replace(self, old: ConfigurationSet, new: ConfigurationSet) -> dict[str, Any]:
        return {
            "Put": {
                "TableName": self._table.name,
                "Item": _to_item(new),
                "ConditionExpression": "#name = :name AND suppression = :suppression AND #state = :state",
                "ExpressionAttributeNames": {"#name": "name", "#state": "state"},
                "ExpressionAttributeValues": {
                    ":name": s(old.name),
                    ":suppression": s(old.suppression),
                    ":state": s(old.state),
                },
            }
        }


def buried(workspace: str, set_id: str) -> Item:
    """Return the row that is left of a deleted set."""
    return {PK: s(workspace), SK: s(DELETED + set_id), "v": n(ROW_VERSION)}


def set_key(workspace: str, set_id: str) -> Item:
    return {PK: s(workspace), SK: s(SET + set_id)}


def _name_key(workspace: str, name: str) -> Item:
    return {PK: s(workspace), SK: s(NAME + name)}


def _to_item(one: ConfigurationSet) -> Item:
    return {
        **set_key(one.workspace, one.id),
        "v": n(ROW_VERSION),
        "name": s(one.name),
        "suppression": s(one.suppression),
        "created_at": n(one.created_at),
        "state": s(one.state),
    }


def _from_item(item: Item) -> ConfigurationSet:
    try:
        return ConfigurationSet(
            id=items.text(item, SK).removeprefix(SET),
            workspace=items.text(item, PK),
            name=items.text(item, "name"),
            suppression=Suppression(items.text(item, "suppression")),
            created_at=items.number(item, "created_at"),
            state=SetState(items.text(item, "state")),
        )
    except ValueError as error:
        raise Malformed("the row of a configuration set holds an unknown value") from error
