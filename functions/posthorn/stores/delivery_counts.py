"""How many deliveries of an endpoint are not delivered: one query of the sparse index `undelivered`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from posthorn.aws import call
from posthorn.stores.items import s
from posthorn.stores.tables import UNDELIVERED_INDEX

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient


@dataclass(frozen=True, slots=True)
class Count:
    """How many there are, as far as one query looks."""

    number: int
    is_more: bool


class DeliveryCounts:
    """Counts over the delivery rows."""

    def __init__(self, dynamodb: DynamoDBClient, table: str) -> None:
        self._dynamodb = dynamodb
        self._table = table

    def undelivered(self, endpoint_id: str) -> Count:
        """Count what is not delivered, failed and still waiting alike; the index is a moment behind the rows."""
        answer = call(
            self._dynamodb.query,
            TableName=self._table,
            IndexName=UNDELIVERED_INDEX,
            KeyConditionExpression="undelivered = :endpoint",
            ExpressionAttributeValues={":endpoint": s(endpoint_id)},
            Select="COUNT",  # one page, 1 MB of the index: thousands of rows
        )
        return Count(answer["Count"], is_more="LastEvaluatedKey" in answer)
