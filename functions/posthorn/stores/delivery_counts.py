"""How many deliveries of an endpoint did not arrive: one query of the sparse index `undelivered`."""

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
"""Most rows that one query counts; a page of the index, 1 MB, ends earlier."""


@dataclass(frozen=True, slots=True)
class Count:
    """How many deliveries one query counted, and whether there are more."""

    number: int
    is_more: bool


class DeliveryCounts:
    """Counts over the delivery rows."""

    def __init__(self, dynamodb: DynamoDBClient, table: str) -> None:
        self._dynamodb = dynamodb
        self._table = table

    def undelivered(self, endpoint_id: str, *, since_ms: int = 0, limit: int = PAGE) -> Count:
        """Count the deliveries of events since a time that failed or are still open, up to a limit.

        The index lags slightly behind the rows.
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
            Limit=limit + 1,  # at the limit, DynamoDB stops and does not say whether there are more
        )
        counted = answer["Count"]
        return Count(min(counted, limit), is_more=counted > limit or "LastEvaluatedKey" in answer)
