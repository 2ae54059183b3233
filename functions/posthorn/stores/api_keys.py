"""API keys in the ConfigTable: `pk` is `key#<id>`, `sk` is `key`; the index `keys` lists the keys of a workspace.

Platform keys have the word `platform` in place of a workspace's id.
"""

from __future__ import annotations

import hmac
from typing import TYPE_CHECKING, Any, Final

from posthorn.aws.clients import call
from posthorn.domain.api_key import PLATFORM, ApiKey, Scope
from posthorn.stores import items
from posthorn.stores.items import n, s
from posthorn.stores.table import NEW, Table
from posthorn.stores.tables import KEY_WORKSPACE, KEYS_INDEX, PK, ROW_VERSION, SK

if TYPE_CHECKING:
    from collections.abc import Mapping

    from mypy_boto3_dynamodb import DynamoDBClient

    from posthorn.stores.items import Item

_PREFIX: Final = "key#"


class ApiKeys:
    """The API keys of every workspace."""

    def __init__(self, dynamodb: DynamoDBClient, table: str) -> None:
        self._table = Table(dynamodb, table)

    def create(self, key: ApiKey) -> bool:
        """Write a new key; false if another key has this id."""
        item: Item = {
            **_key(key.id),
            "v": n(ROW_VERSION),
            KEY_WORKSPACE: s(key.workspace or PLATFORM),
            "name": s(key.name),
            "scopes": items.texts(sorted(key.scopes)),
            "secret_hash": {"B": key.secret_hash},
            "created_at": n(key.created_at),
        }
        if key.valid_until is not None:
            item["valid_until"] = n(key.valid_until)
        return self._table.put(
            item,
            condition=NEW,
            is_ours=lambda found: hmac.compare_digest(items.binary(found, "secret_hash"), key.secret_hash),
        )

    def get(self, key_id: str) -> ApiKey | None:
        row = self._table.get(_key(key_id))
        return None if row is None else _from_item(row)

    def page(
        self, workspace: str | None, *, after: str | None, limit: int
    ) -> tuple[list[ApiKey], str | None]:
        """Return keys of a workspace in the order of their ids, and the id after which the next page starts, if any.

        Without a workspace, these are the platform keys. They come from an index, which lags slightly behind the rows.
        """
        owner = s(workspace or PLATFORM)
        page = self._table.query(
            after=None if after is None else {**_key(after), KEY_WORKSPACE: owner},
            limit=limit,
            IndexName=KEYS_INDEX,
            KeyConditionExpression="key_workspace = :workspace",
            ExpressionAttributeValues={":workspace": owner},
        )
        return [_from_item(row) for row in page.rows], page.position(PK, prefix=_PREFIX)

    def note_use(self, key_id: str, *, now_ms: int, unless_since: int) -> None:
        """Record when a key was used, unless a use since then is on record already or the key is gone."""
        self._table.update(
            _key(key_id),
            "SET last_used_at = :now",
            condition="attribute_exists(pk) AND (attribute_not_exists(last_used_at) OR last_used_at <= :since)",
            ExpressionAttributeValues={":now": n(now_ms), ":since": n(unless_since)},
        )

    def revoke(self, key_id: str, *, now_ms: int) -> None:
        """Revoke a key from now on; `ConditionFailed` if it does not exist."""
        call(
            self._table.client.update_item,
            TableName=self._table.name,
            Key=_key(key_id),
            UpdateExpression="SET revoked_at = if_not_exists(revoked_at, :now)",
            ConditionExpression="attribute_exists(pk)",
            ExpressionAttributeValues={":now": n(now_ms)},
        )


def _key(key_id: str) -> Item:
    return {PK: s(_PREFIX + key_id), SK: s("key")}


def _from_item(item: Mapping[str, Any]) -> ApiKey:
    known = frozenset(Scope)
    owner = items.text(item, KEY_WORKSPACE)
    return ApiKey(
        id=items.text(item, PK).removeprefix(_PREFIX),
        workspace=None if owner == PLATFORM else owner,
        name=items.text(item, "name"),
        # a scope that this version does not know grants nothing
        scopes=frozenset(Scope(scope) for scope in items.text_list(item, "scopes") if scope in known),
        secret_hash=items.binary(item, "secret_hash"),
        created_at=items.number(item, "created_at"),
        valid_until=items.optional_number(item, "valid_until"),
        revoked_at=items.optional_number(item, "revoked_at"),
        last_used_at=items.optional_number(item, "last_used_at"),
    )
