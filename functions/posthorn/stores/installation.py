"""What the installation itself keeps in the ConfigTable: `pk` is `system`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from posthorn.aws.clients import call
from posthorn.domain.errors import ConditionFailed
from posthorn.stores import items
from posthorn.stores.items import n, s
from posthorn.stores.tables import PK, ROW_VERSION, SK

if TYPE_CHECKING:
    from collections.abc import Callable

    from mypy_boto3_dynamodb import DynamoDBClient

_CURSOR_KEY: Final = {PK: s("system"), SK: s("cursor-key")}


class InstallationSecrets:
    """Rows that belong to no workspace."""

    def __init__(self, dynamodb: DynamoDBClient, table: str) -> None:
        self._dynamodb = dynamodb
        self._table = table

    def cursor_key(self, make: Callable[[], bytes]) -> bytes:
        """Return the sealed key of all cursors; whoever asks first makes it."""
        answer = call(self._dynamodb.get_item, TableName=self._table, Key=_CURSOR_KEY, ConsistentRead=True)
        if "Item" in answer:
            return items.binary(answer["Item"], "sealed")
        sealed = make()
        try:
            call(
                self._dynamodb.put_item,
                TableName=self._table,
                Item={**_CURSOR_KEY, "v": n(ROW_VERSION), "sealed": {"B": sealed}},
                ConditionExpression="attribute_not_exists(pk)",
                ReturnValuesOnConditionCheckFailure="ALL_OLD",
            )
        except ConditionFailed as lost:
            if lost.found is None:
                raise
            return items.binary(lost.found, "sealed")
        return sealed
