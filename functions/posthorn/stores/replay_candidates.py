"""Deliveries in the DeliveriesTable that a bulk replay may begin anew: the settled ones of one endpoint."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from posthorn.aws.clients import call
from posthorn.domain.replay_job import ReplaySelection
from posthorn.stores import items
from posthorn.stores.items import s
from posthorn.stores.tables import PK, SK, UNDELIVERED, UNDELIVERED_INDEX

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

_AFTER: Final = "!"  # sorts before every character of an id: this ends what the position itself names


class ReplayCandidates:
    """The settled deliveries of every endpoint, in the order of their events."""

    def __init__(self, dynamodb: DynamoDBClient, table: str) -> None:
        self._dynamodb = dynamodb
        self._table = table

    def page(
        self, endpoint_id: str, wanted: ReplaySelection, *, after: str, end: str, limit: int
    ) -> tuple[dict[str, int], str]:
        """Return the event id and generation of those that are wanted, and the position after the last looked at.

        Looks at up to `limit` deliveries. Tests are never wanted.
        """
        failed_only = wanted is ReplaySelection.FAILED
        # what is delivered is in no index
        place: dict[str, Any] = {"IndexName": UNDELIVERED_INDEX} if failed_only else {"ConsistentRead": True}
        statuses = {f":status{number}": s(status) for number, status in enumerate(wanted.statuses)}
        answer = call(
            self._dynamodb.query,
            TableName=self._table,
            KeyConditionExpression="#endpoint = :endpoint AND #event BETWEEN :after AND :end",
            FilterExpression=f"#status IN ({', '.join(statuses)}) AND attribute_not_exists(is_test)",
            ProjectionExpression="#event, generation",
            ExpressionAttributeNames={
                "#endpoint": UNDELIVERED if failed_only else PK,
                "#event": SK,
                "#status": "status",
            },
            ExpressionAttributeValues={
                ":endpoint": s(endpoint_id),
                ":after": s(after + _AFTER),
                ":end": s(end),
                **statuses,
            },
            Limit=limit,
            **place,
        )
        found = {items.text(item, SK): items.number(item, "generation") for item in answer["Items"]}
        last = answer.get("LastEvaluatedKey")
        return found, items.text(last, SK) if last else end
