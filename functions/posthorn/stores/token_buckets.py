"""Token buckets of workspaces in the ConfigTable: `pk` is the workspace, `sk` is `bucket#<name>`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from posthorn.stores import items
from posthorn.stores.items import n, s
from posthorn.stores.table import NEW, Table
from posthorn.stores.tables import PK, ROW_VERSION, SK

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

    from posthorn.domain.token_bucket import TokenBucket
    from posthorn.stores.items import Item

_PREFIX: Final = "bucket#"
_NEVER: Final = 0


class TokenBuckets:
    """The buckets of every workspace. Each is a row from the first time that tokens are taken."""

    def __init__(self, dynamodb: DynamoDBClient, table: str) -> None:
        self._table = Table(dynamodb, table)

    def taken_until(self, workspace: str, name: str) -> int:
        """Return the time up to which the tokens were taken, read consistently."""
        row = self._table.get(_key(workspace, name))
        return _NEVER if row is None else items.number(row, "taken_until")

    def take(
        self, workspace: str, name: str, bucket: TokenBucket, tokens: int, *, taken_until: int, now: int
    ) -> bool:
        """Take tokens; false if others took so many since `taken_until` was read that they are not there any more."""
        cost, start = bucket.cost(tokens), bucket.start(taken_until, now)
        values: dict[str, Any] = {":v": n(ROW_VERSION), ":cost": n(cost)}
        if start == taken_until:  # another process that takes tokens meanwhile only moves the time on
            return self._table.update(
                _key(workspace, name),
                "SET v = :v ADD taken_until :cost",
                condition="taken_until <= :latest",
                ExpressionAttributeValues={**values, ":latest": n(now - cost)},
            )
        return self._table.update(
            _key(workspace, name),
            "SET v = :v, taken_until = :until",
            condition=f"{NEW} OR taken_until = :read",
            ExpressionAttributeValues={
                ":v": n(ROW_VERSION),
                ":until": n(start + cost),
                ":read": n(taken_until),
            },
        )


def _key(workspace: str, name: str) -> Item:
    return {PK: s(workspace), SK: s(_PREFIX + name)}
