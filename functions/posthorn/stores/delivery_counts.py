"""How many deliveries of an endpoint are not delivered: one query of the sparse index `undelivered`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from posthorn.aws.clients import call
from posthorn.domain.ids import EVENT, first_id
from posthorn.stores.items import s
from posthorn.stores.tables import UNDELIVERED_INDEX

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

PAGE: Final = 10_000
"""Rows that one query may count; one page, 1 MB of the index, ends before."""


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

    def undelivered(self, endpoint_id: str, *, since_ms: int = 0, limit: int = PAGE) -> Count:
        """Count what is not delivered of the events since a moment, failed and still waiting alike, up to a limit.

        The index is a moment behind the rows.
        """
        answer = call(
            self._dynamodb.query,
            TableName=self._table,
            IndexName=UNDELIVERED_INDEX,
            KeyConditionExpression="undelivered = :endpoint AND sk >= :first",
            ExpressionAttributeValues={
                ":endpoint": s(endpoint_id),
                ":first": s(first_id(EVENT, now_ms=since_ms)),
            },
            Select="COUNT",
            Limit=limit,
        )
        return Count(answer["Count"], is_more="LastEvaluatedKey" in answer)
