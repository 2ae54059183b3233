"""One DynamoDB table: reads, conditional writes, transactions and pages."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from posthorn.aws.clients import call
from posthorn.domain.errors import ConditionFailed
from posthorn.stores import items
from posthorn.stores.items import s
from posthorn.stores.tables import KEYS, PK, SK

if TYPE_CHECKING:
    from collections.abc import Callable

    from mypy_boto3_dynamodb import DynamoDBClient

    from posthorn.stores.items import Item

NEW: Final = "attribute_not_exists(pk)"
"""The condition that there is no row with this key."""

type IsOurs = Callable[[Item], bool]


@dataclass(frozen=True, slots=True)
class Page:
    """The rows that one query returned, and the key after which the next page starts; None on the last page."""

    rows: list[Item]
    last: Item | None

    def position(self, name: str = SK, *, prefix: str = "") -> str | None:
        """Return one attribute of the last key without its prefix, which is enough to ask for the next page."""
        return None if self.last is None else items.text(self.last, name).removeprefix(prefix)


@dataclass(frozen=True, slots=True)
class Table:
    """A table and the client that reads and writes it. Options are DynamoDB's own parameters.

    Conditional writes return whether they took effect. If botocore retried after a lost response, the condition fails
    on our own write: treat that as success. `is_ours` recognizes our own write in the row that the condition found.
    """

    client: DynamoDBClient
    name: str

    def get(self, key: Item) -> Item | None:
        """Return a row, read consistently."""
        answer = call(self.client.get_item, TableName=self.name, Key=key, ConsistentRead=True)
        return answer.get("Item")

    def put(self, item: Item, *, condition: str, is_ours: IsOurs | None = None, **options: Any) -> bool:
        """Put a row if the condition holds."""
        return self._write(self.client.put_item, is_ours, Item=item, ConditionExpression=condition, **options)

    def put_or_find(self, item: Item, *, condition: str, **options: Any) -> Item:
        """Put a row if the condition holds; returns the row that the table holds afterwards.

        That is this row, or the one on which the condition failed. `ConditionFailed` when there is neither.
        """
        try:
            call(
                self.client.put_item,
                TableName=self.name,
                Item=item,
                ConditionExpression=condition,
                ReturnValuesOnConditionCheckFailure="ALL_OLD",
                **options,
            )
        except ConditionFailed as lost:
            if lost.found is None:
                raise
            return dict(lost.found)
        return item

    def update(
        self, key: Item, expression: str, *, condition: str, is_ours: IsOurs | None = None, **options: Any
    ) -> bool:
        """Update a row if the condition holds."""
        return self._write(
            self.client.update_item,
            is_ours,
            Key=key,
            UpdateExpression=expression,
            ConditionExpression=condition,
            **options,
        )

    def transact(self, *writes: Any, is_ours: IsOurs | None = None) -> bool:
        """Make all of these writes, which may name other tables, or none of them if a condition fails.

        With `is_ours`, the write that it recognizes must ask for the row on which its condition fails.
        """
        try:
            call(self.client.transact_write_items, TransactItems=writes)
        except ConditionFailed as lost:
            return _is_ours(lost, is_ours)
        return True

    def query(self, *, after: Item | None = None, limit: int | None = None, **options: Any) -> Page:
        """Run one query, from the row that follows the key `after`.

        With a limit, one more row is read: DynamoDB returns a start key whenever the limit stopped it, even behind the
        last row. So every attribute of a start key must be among those that are asked for.
        """
        if after is not None:
            options["ExclusiveStartKey"] = after
        if limit is not None:
            options["Limit"] = limit + 1
        answer = call(self.client.query, TableName=self.name, **options)
        rows, last = answer["Items"], answer.get("LastEvaluatedKey")
        if limit is not None and len(rows) > limit:
            rows = rows[:limit]
            last = {name: rows[-1][name] for name in KEYS[options.get("IndexName")]}
        return Page(rows, last)

    def query_prefix(
        self,
        partition: str,
        prefix: str,
        *,
        after: str | None = None,
        limit: int | None = None,
        **options: Any,
    ) -> Page:
        """Query the rows of a partition whose sort keys start with a prefix, from the one that follows `after`."""
        return self.query(
            after=None if after is None else {PK: s(partition), SK: s(prefix + after)},
            limit=limit,
            KeyConditionExpression="pk = :partition AND begins_with(sk, :prefix)",
            ExpressionAttributeValues={":partition": s(partition), ":prefix": s(prefix)},
            **options,
        )

    def _write(self, operation: Callable[..., object], is_ours: IsOurs | None, **request: Any) -> bool:
        if is_ours is not None:
            request["ReturnValuesOnConditionCheckFailure"] = "ALL_OLD"
        try:
            call(operation, TableName=self.name, **request)
        except ConditionFailed as lost:
            return _is_ours(lost, is_ours)
        return True


def _is_ours(lost: ConditionFailed, is_ours: IsOurs | None) -> bool:
    return is_ours is not None and lost.found is not None and is_ours(dict(lost.found))
