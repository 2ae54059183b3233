"""API keys in the ConfigTable: `pk` is `key#<id>`, `sk` is `key`; the index `keys` lists a workspace's."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from posthorn.api_keys import ApiKey, Scope
from posthorn.aws import call
from posthorn.stores import items
from posthorn.stores.items import n, s
from posthorn.stores.tables import KEY_WORKSPACE, PK, ROW_VERSION, SK

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

    from posthorn.stores.items import Item

_PREFIX: Final = "key#"


class ApiKeys:
    """The API keys of every workspace."""

    def __init__(self, dynamodb: DynamoDBClient, table: str) -> None:
        self._dynamodb = dynamodb
        self._table = table

    def create(self, key: ApiKey) -> None:
        item: Item = {
            **_key(key.id),
            "v": n(ROW_VERSION),
            KEY_WORKSPACE: s(key.workspace),
            "name": s(key.name),
            "scopes": items.texts(sorted(key.scopes)),
            "secret_hash": {"B": key.secret_hash},
            "created_at": n(key.created_at),
        }
        if key.valid_until is not None:
            item["valid_until"] = n(key.valid_until)
        call(
            self._dynamodb.put_item,
            TableName=self._table,
            Item=item,
            ConditionExpression="attribute_not_exists(pk)",
        )

    def get(self, key_id: str) -> ApiKey | None:
        answer = call(self._dynamodb.get_item, TableName=self._table, Key=_key(key_id), ConsistentRead=True)
        return _from_item(answer["Item"]) if "Item" in answer else None

    def revoke(self, key_id: str, *, now_ms: int) -> None:
        """Make a key useless from now on; `ConditionFailed` when there is none."""
        call(
            self._dynamodb.update_item,
            TableName=self._table,
            Key=_key(key_id),
            UpdateExpression="SET revoked_at = if_not_exists(revoked_at, :now)",
            ConditionExpression="attribute_exists(pk)",
            ExpressionAttributeValues={":now": n(now_ms)},
        )


def _key(key_id: str) -> Item:
    return {PK: s(_PREFIX + key_id), SK: s("key")}


def _from_item(item: Item) -> ApiKey:
    known = frozenset(Scope)
    return ApiKey(
        id=items.text(item, PK).removeprefix(_PREFIX),
        workspace=items.text(item, KEY_WORKSPACE),
        name=items.text(item, "name"),
        # a scope that this version does not know grants nothing
        scopes=frozenset(Scope(scope) for scope in items.text_list(item, "scopes") if scope in known),
        secret_hash=items.binary(item, "secret_hash"),
        created_at=items.number(item, "created_at"),
        valid_until=items.optional_number(item, "valid_until"),
        revoked_at=items.optional_number(item, "revoked_at"),
    )
