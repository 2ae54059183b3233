"""Deliveries in the DeliveriesTable that a bulk replay may restart: the settled ones of one endpoint."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from posthorn.domain.replay_job import ReplaySelection
from posthorn.stores import items
from posthorn.stores.items import s
from posthorn.stores.table import Table
from posthorn.stores.tables import PK, SK, UNDELIVERED, UNDELIVERED_INDEX

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

_AFTER: Final = "!"  # sorts before every character of an id, so the range starts after the position itself


class ReplayCandidates:
    """The settled deliveries of every endpoint, in the order of their events."""

    def __init__(self, dynamodb: DynamoDBClient, table: str) -> None:
        self._table = Table(dynamodb, table)

    def page(
        self, endpoint_id: str, wanted: ReplaySelection, *, after: str, end: str, limit: int
    ) -> tuple[dict[str, int], str]:
        """Return the event ids and generations of the selected deliveries, and the position after the last one read.

        Reads up to `limit` deliveries. Test deliveries are never selected.
        """
        failed_only = wanted is ReplaySelection.FAILED
        # delivered rows are in no index
        place: dict[str, Any] = {"IndexName": UNDELIVERED_INDEX} if failed_only else {"ConsistentRead": True}
        statuses = {f":status{number}": s(status) for number, status in enumerate(wanted.statuses)}
        page = self._table.query(
            limit=limit,
            KeyConditionExpression="#endpoint = :endpoint AND #event BETWEEN :after AND :end",
            FilterExpression=f"#status IN ({', '.join(statuses)}) AND attribute_not_exists(is_test)",
            ProjectionExpression="pk, sk, undelivered, generation",
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
            **place,
        )
        found = {items.text(row, SK): items.number(row, "generation") for row in page.rows}
        return found, page.position() or end
