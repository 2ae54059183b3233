"""Configuration sets in the ConfigTable, under their workspace: a row for each, and one that keeps its name unique."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

from posthorn.aws.clients import call
from posthorn.domain.errors import ConditionFailed, Malformed
from posthorn.domain.models import ConfigurationSet, SetState, Suppression
from posthorn.stores import items
from posthorn.stores.items import n, s
from posthorn.stores.tables import PK, ROW_VERSION, SK

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

    from posthorn.stores.items import Item

_SET: Final = "configuration_set#"
_NAME: Final = "configuration_set_name#"


class ConfigurationSets:
    """The configuration sets of every workspace."""

    def __init__(self, dynamodb: DynamoDBClient, table: str) -> None:
        self._dynamodb = dynamodb
        self._table = table

    def create(self, one: ConfigurationSet) -> bool:
        """Write a new set and take its name, both or neither; false when name or id is taken."""
        name = {**_name_key(one.workspace, one.name), "v": n(ROW_VERSION), "id": s(one.id)}
        return self._together(self._put_new(name), self._put_new(_to_item(one)))

    def get(self, workspace: str, set_id: str) -> ConfigurationSet | None:
        row = self._row(_set_key(workspace, set_id))
        return _from_item(row) if row else None

    def by_name(self, workspace: str, name: str) -> ConfigurationSet | None:
        row = self._row(_name_key(workspace, name))
        return self.get(workspace, items.text(row, "id")) if row else None

    def page(
        self, workspace: str, *, after: str | None, limit: int
    ) -> tuple[list[ConfigurationSet], str | None]:
        """Return sets in the order of their creation, and the id to go on after, if there are more."""
        options: dict[str, Any] = {}
        if after is not None:
            options["ExclusiveStartKey"] = _set_key(workspace, after)
        answer = call(
            self._dynamodb.query,
            TableName=self._table,
            KeyConditionExpression="pk = :workspace AND begins_with(sk, :prefix)",
            ExpressionAttributeValues={":workspace": s(workspace), ":prefix": s(_SET)},
            ConsistentRead=True,
            Limit=limit,
            **options,
        )
        last = answer.get("LastEvaluatedKey")
        after = items.text(last, SK).removeprefix(_SET) if last else None
        return [_from_item(item) for item in answer["Items"]], after

    def move(self, old: ConfigurationSet, state: SetState) -> ConfigurationSet | None:
        """Bring a set into another state; None when it is no longer as `old` says."""
        new = replace(old, state=state)
        return new if self._together(self._replace(old, new)) else None

    def change(self, old: ConfigurationSet, new: ConfigurationSet) -> bool:
        """Write a set anew, with its name if that changed; false when the name is taken or the set not as it was."""
        if old.name == new.name:
            return self._together(self._replace(old, new))
        name = {**_name_key(new.workspace, new.name), "v": n(ROW_VERSION), "id": s(new.id)}
        return self._together(
            self._replace(old, new),
            self._put_new(name),
            {"Delete": {"TableName": self._table, "Key": _name_key(old.workspace, old.name)}},
        )

    def remove(self, one: ConfigurationSet) -> None:
        """Forget a set that is being deleted and free its name, unless that was done before."""
        self._together(
            {
                "Delete": {
                    "TableName": self._table,
                    "Key": _set_key(one.workspace, one.id),
                    "ConditionExpression": "#state = :deleting",
                    "ExpressionAttributeNames": {"#state": "state"},
                    "ExpressionAttributeValues": {":deleting": s(SetState.DELETING)},
                }
            },
            {
                "Delete": {
                    "TableName": self._table,
                    "Key": _name_key(one.workspace, one.name),
                    "ConditionExpression": "id = :id",  # by now the name may be somebody else's
                    "ExpressionAttributeValues": {":id": s(one.id)},
                }
            },
        )

    def _row(self, key: Item) -> Item | None:
        answer = call(self._dynamodb.get_item, TableName=self._table, Key=key, ConsistentRead=True)
        return answer.get("Item")

    def _put_new(self, item: Item) -> dict[str, Any]:
        condition = "attribute_not_exists(pk)"
        return {"Put": {"TableName": self._table, "Item": item, "ConditionExpression": condition}}

    def _replace(self, old: ConfigurationSet, new: ConfigurationSet) -> dict[str, Any]:
        return {
            "Put": {
                "TableName": self._table,
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

    def _together(self, *writes: Any) -> bool:
        try:
            call(self._dynamodb.transact_write_items, TransactItems=writes)
        except ConditionFailed:
            return False
        return True


def _set_key(workspace: str, set_id: str) -> Item:
    return {PK: s(workspace), SK: s(_SET + set_id)}


def _name_key(workspace: str, name: str) -> Item:
    return {PK: s(workspace), SK: s(_NAME + name)}


def _to_item(one: ConfigurationSet) -> Item:
    return {
        **_set_key(one.workspace, one.id),
        "v": n(ROW_VERSION),
        "name": s(one.name),
        "suppression": s(one.suppression),
        "created_at": n(one.created_at),
        "state": s(one.state),
    }


def _from_item(item: Item) -> ConfigurationSet:
    try:
        return ConfigurationSet(
            id=items.text(item, SK).removeprefix(_SET),
            workspace=items.text(item, PK),
            name=items.text(item, "name"),
            suppression=Suppression(items.text(item, "suppression")),
            created_at=items.number(item, "created_at"),
            state=SetState(items.text(item, "state")),
        )
    except ValueError as error:
        raise Malformed("a configuration set's row holds a word that is not known") from error
