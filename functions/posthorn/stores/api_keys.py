"""API keys in the ConfigTable: `pk` is `key#<id>`, `sk` is `key`; the index `keys` lists a workspace's."""

from __future__ import annotations

import hmac
from typing import TYPE_CHECKING, Any, Final

from posthorn.aws.clients import call
from posthorn.domain.api_key import ApiKey, Scope
from posthorn.domain.errors import ConditionFailed
from posthorn.stores import items
from posthorn.stores.items import n, s
from posthorn.stores.tables import KEY_WORKSPACE, KEYS_INDEX, PK, ROW_VERSION, SK

if TYPE_CHECKING:
    from collections.abc import Mapping

    from mypy_boto3_dynamodb import DynamoDBClient

    from posthorn.stores.items import Item

_PREFIX: Final = "key#"


class ApiKeys:
    """The API keys of every workspace."""

    def __init__(self, dynamodb: DynamoDBClient, table: str) -> None:
        self._dynamodb = dynamodb
        self._table = table

    def create(self, key: ApiKey) -> bool:
        """Write a new key; false when there is another one with this id."""
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
        try:
            call(
                self._dynamodb.put_item,
                TableName=self._table,
                Item=item,
                ConditionExpression="attribute_not_exists(pk)",
                ReturnValuesOnConditionCheckFailure="ALL_OLD",
            )
        except ConditionFailed as lost:
            # a call whose answer was lost is repeated by botocore and then finds its own row
            found = None if lost.found is None else items.binary(lost.found, "secret_hash")
            return found is not None and hmac.compare_digest(found, key.secret_hash)
        return True

    def get(self, key_id: str) -> ApiKey | None:
        answer = call(self._dynamodb.get_item, TableName=self._table, Key=_key(key_id), ConsistentRead=True)
        return _from_item(answer["Item"]) if "Item" in answer else None

    def page(self, workspace: str, *, after: str | None, limit: int) -> tuple[list[ApiKey], str | None]:
        """Return a workspace's keys in the order of their ids, and the id to go on after, if there are more.

        They come from an index, which is a moment behind.
        """
        options: dict[str, Any] = {}
        if after is not None:
            options["ExclusiveStartKey"] = {**_key(after), KEY_WORKSPACE: s(workspace)}
        answer = call(
            self._dynamodb.query,
            TableName=self._table,
            IndexName=KEYS_INDEX,
            KeyConditionExpression="key_workspace = :workspace",
            ExpressionAttributeValues={":workspace": s(workspace)},
            Limit=limit,
            **options,
        )
        last = answer.get("LastEvaluatedKey")
        after = items.text(last, PK).removeprefix(_PREFIX) if last else None
        return [_from_item(item) for item in answer["Items"]], after

    def note_use(self, key_id: str, *, now_ms: int, unless_since: int) -> None:
        """Write when a key was used; `ConditionFailed` when that was done since then, or it is gone."""
        call(
            self._dynamodb.update_item,
            TableName=self._table,
            Key=_key(key_id),
            UpdateExpression="SET last_used_at = :now",
            ConditionExpression=(
                "attribute_exists(pk) AND (attribute_not_exists(last_used_at) OR last_used_at <= :since)"
            ),
            ExpressionAttributeValues={":now": n(now_ms), ":since": n(unless_since)},
        )

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


def _from_item(item: Mapping[str, Any]) -> ApiKey:
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
        last_used_at=items.optional_number(item, "last_used_at"),
    )
