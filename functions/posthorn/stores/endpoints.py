"""Endpoints in the ConfigTable, under their channel."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from posthorn.aws.clients import call
from posthorn.domain.errors import ConditionFailed, Malformed
from posthorn.stores import batches, items
from posthorn.stores import endpoint_rows as rows
from posthorn.stores.items import n, s
from posthorn.stores.tables import SK

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from mypy_boto3_dynamodb import DynamoDBClient

    from posthorn.domain.models import Endpoint
    from posthorn.stores.items import Item


class Endpoints:
    """The endpoints of every channel."""

    def __init__(
        self, dynamodb: DynamoDBClient, table: str, *, on_unreadable: Callable[[str, str], None]
    ) -> None:
        self._dynamodb = dynamodb
        self._table = table
        self._on_unreadable = on_unreadable  # is told which row of a list made no sense, and why

    def create(self, endpoint: Endpoint) -> bool:
        """Write a new endpoint; false when there is one with this id already."""
        try:
            call(
                self._dynamodb.put_item,
                TableName=self._table,
                Item=rows.to_item(endpoint),
                ConditionExpression="attribute_not_exists(pk)",
            )
        except ConditionFailed:
            return False
        return True

    def get(self, channel: str, endpoint_id: str) -> Endpoint | None:
        answer = call(
            self._dynamodb.get_item,
            TableName=self._table,
            Key=rows.key_of(channel, endpoint_id),
            ConsistentRead=True,
        )
        return rows.from_item(answer["Item"]) if "Item" in answer else None

    def get_many(self, keys: Iterable[tuple[str, str]]) -> dict[str, Endpoint]:
        """Return the endpoints that exist of up to 100 (channel, endpoint id) pairs, by id."""
        wanted = [rows.key_of(channel, endpoint_id) for channel, endpoint_id in sorted(set(keys))]
        if not wanted:
            return {}
        answer = batches.read(self._dynamodb, {self._table: {"Keys": wanted, "ConsistentRead": True}})
        return {endpoint.id: endpoint for endpoint in map(rows.from_item, answer[self._table])}

    def of_channel(self, channel: str) -> list[Endpoint]:
        """Return every endpoint of a channel, those made a moment ago included."""
        found: list[Endpoint] = []
        after: str | None = None
        while True:
            page, after = self.page(channel, after=after)
            found += page
            if after is None:
                return found

    def page(
        self, channel: str, *, after: str | None = None, limit: int | None = None
    ) -> tuple[list[Endpoint], str | None]:
        """Return endpoints in the order of their creation, and the id to go on after, if there are more."""
        options: dict[str, Any] = {}
        if after is not None:
            options["ExclusiveStartKey"] = rows.key_of(channel, after)
        if limit is not None:
            options["Limit"] = limit
        answer = call(
            self._dynamodb.query,
            TableName=self._table,
            KeyConditionExpression="pk = :channel AND begins_with(sk, :prefix)",
            ExpressionAttributeValues={":channel": s(channel), ":prefix": s(rows.PREFIX)},
            ConsistentRead=True,  # an event may follow its endpoint at once
            **options,
        )
        last = answer.get("LastEvaluatedKey")
        after = items.text(last, SK).removeprefix(rows.PREFIX) if last else None
        found = [endpoint for item in answer["Items"] if (endpoint := self._read(item)) is not None]
        return found, after

    def replace(self, old: Endpoint, new: Endpoint) -> bool:
        """Write an endpoint anew; false when it has changed or gone since `old` was read."""
        try:
            call(
                self._dynamodb.put_item,
                TableName=self._table,
                Item=rows.to_item(new),
                ConditionExpression="revision = :old",
                ExpressionAttributeValues={":old": n(old.revision)},
                ReturnValuesOnConditionCheckFailure="ALL_OLD",
            )
        except ConditionFailed as lost:
            # a call whose answer was lost is repeated by botocore and then finds its own row
            return lost.found is not None and rows.from_item(dict(lost.found)) == new
        return True

    def delete(self, channel: str, endpoint_id: str) -> bool:
        """Remove an endpoint; false when there was none."""
        answer = call(
            self._dynamodb.delete_item,
            TableName=self._table,
            Key=rows.key_of(channel, endpoint_id),
            ReturnValues="ALL_OLD",
        )
        return bool(answer.get("Attributes"))

    def _read(self, item: Item) -> Endpoint | None:
        """Read one row of many; one that makes no sense to this version must not hide the others."""
        try:
            return rows.from_item(item)
        except Malformed as error:
            self._on_unreadable(items.text(item, SK), str(error))
            return None
