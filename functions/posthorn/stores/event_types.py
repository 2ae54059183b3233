"""A workspace's own event types in the ConfigTable: `pk` is the workspace, `sk` is `event-type#<NAME>`.

A row beside them counts them: it changes with them or not at all, so the limit holds for concurrent requests too.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

from posthorn.aws.clients import call
from posthorn.domain.errors import ConditionFailed, Malformed
from posthorn.domain.event_types import EventType
from posthorn.stores import items
from posthorn.stores.items import n, s
from posthorn.stores.tables import PK, ROW_VERSION, SK

if TYPE_CHECKING:
    from collections.abc import Mapping

    from mypy_boto3_dynamodb import DynamoDBClient

    from posthorn.stores.items import Item

MAX_OWN: Final = 500
"""How many event types a workspace may have of its own."""

_PREFIX: Final = "event-type#"
_COUNT: Final = "event-type-count"


class EventTypes:
    """The event types that workspaces made."""

    def __init__(self, dynamodb: DynamoDBClient, table: str) -> None:
        self._dynamodb = dynamodb
        self._table = table

    def create(self, workspace: str, one: EventType) -> bool:
        """Write a new type; false when there is one of this name, or there are `MAX_OWN` already."""
        return self._together(
            {
                "Put": {
                    "TableName": self._table,
                    "Item": _to_item(workspace, one),
                    "ConditionExpression": "attribute_not_exists(pk)",
                }
            },
            self._count(workspace, 1, "attribute_not_exists(types) OR types < :most", {":most": n(MAX_OWN)}),
        )

    def get(self, workspace: str, name: str) -> EventType | None:
        answer = call(
            self._dynamodb.get_item, TableName=self._table, Key=_key(workspace, name), ConsistentRead=True
        )
        return _from_item(answer["Item"]) if "Item" in answer else None

    def any_below(self, workspace: str, stem: str) -> bool:
        """Tell whether any type's name begins with the stem and an underscore."""
        return bool(self._query(workspace, f"{stem}_", Limit=1)["Items"])

    def page(self, workspace: str, *, after: str | None, limit: int) -> tuple[list[EventType], str | None]:
        """Return types in the order of their names, and the name to go on after, if there are more."""
        start = {"ExclusiveStartKey": _key(workspace, after)} if after else {}
        answer = self._query(workspace, "", Limit=limit, **start)
        last = answer.get("LastEvaluatedKey")
        after = items.text(last, SK).removeprefix(_PREFIX) if last else None
        return [_from_item(item) for item in answer["Items"]], after

    def delete(self, workspace: str, name: str) -> bool:
        """Remove a type; false when there was none."""
        return self._together(
            {
                "Delete": {
                    "TableName": self._table,
                    "Key": _key(workspace, name),
                    "ConditionExpression": "attribute_exists(pk)",
                }
            },
            self._count(workspace, -1, "attribute_exists(types)", {}),
        )

    def _query(self, workspace: str, prefix: str, **options: Any) -> Any:
        return call(
            self._dynamodb.query,
            TableName=self._table,
            KeyConditionExpression="pk = :workspace AND begins_with(sk, :prefix)",
            ExpressionAttributeValues={":workspace": s(workspace), ":prefix": s(_PREFIX + prefix)},
            ConsistentRead=True,
            **options,
        )

    def _count(self, workspace: str, change: int, condition: str, values: Item) -> dict[str, Any]:
        return {
            "Update": {
                "TableName": self._table,
                "Key": {PK: s(workspace), SK: s(_COUNT)},
                "UpdateExpression": "ADD types :change SET v = :version",
                "ConditionExpression": condition,
                "ExpressionAttributeValues": {":change": n(change), ":version": n(ROW_VERSION), **values},
            }
        }

    def _together(self, *writes: Any) -> bool:
        try:
            call(self._dynamodb.transact_write_items, TransactItems=writes)
        except ConditionFailed:
            return False
        return True


def _key(workspace: str, name: str) -> Item:
    return {PK: s(workspace), SK: s(_PREFIX + name)}


def _to_item(workspace: str, one: EventType) -> Item:
    item: Item = {
        **_key(workspace, one.name),
        "v": n(ROW_VERSION),
        "description": s(one.description),
        "example": s(json.dumps(one.example, ensure_ascii=False, separators=(",", ":"))),
    }
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
        raise Malformed("an event type's example is not JSON") from error
    return EventType(
        name=items.text(item, SK).removeprefix(_PREFIX),
        description=items.text(item, "description"),
        example=example,
        schema=items.optional_text(item, "schema"),
        created_at=items.number(item, "created_at"),
        made_by=items.optional_text(item, "made_by"),
    )
