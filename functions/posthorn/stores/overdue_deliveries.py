"""Deliveries that wait for an attempt, in the order in which they are due: the index `due`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from posthorn.aws.clients import call
from posthorn.domain.errors import ConditionFailed
from posthorn.domain.ids import EVENT_SHARDS
from posthorn.domain.models import Delivery, DeliveryKey, Status
from posthorn.stores import delivery_rows as rows
from posthorn.stores import items
from posthorn.stores.items import n, s
from posthorn.stores.tables import DUE_INDEX, DUE_SHARD, NEXT_ATTEMPT_AT

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

    from posthorn.stores.items import Item

_NAMES: Final = {"#status": "status"}


@dataclass(frozen=True, slots=True)
class OverdueDelivery:
    """A delivery as the index knows it; its row may have moved on."""

    key: DeliveryKey
    at: int  # Unix milliseconds


class OverdueDeliveries:
    """The open deliveries of every endpoint."""

    shards: Final = range(EVENT_SHARDS)

    def __init__(self, dynamodb: DynamoDBClient, table: str) -> None:
        self._dynamodb = dynamodb
        self._table = table

    def page(
        self, shard: int, *, before_ms: int, after: OverdueDelivery | None, limit: int
    ) -> tuple[list[OverdueDelivery], OverdueDelivery | None]:
        """Return what was due before a moment, the longest overdue first, and the one to go on after, if any."""
        options: dict[str, Any] = {}
        if after is not None:
            options["ExclusiveStartKey"] = {
                **rows.key_of(after.key),
                DUE_SHARD: s(str(shard)),
                NEXT_ATTEMPT_AT: n(after.at),
            }
        answer = call(
            self._dynamodb.query,
            TableName=self._table,
            IndexName=DUE_INDEX,
            KeyConditionExpression=f"{DUE_SHARD} = :shard AND {NEXT_ATTEMPT_AT} < :before",
            ExpressionAttributeValues={":shard": s(str(shard)), ":before": n(before_ms)},
            Limit=limit,
            **options,
        )
        last = answer.get("LastEvaluatedKey")
        return [_read(item) for item in answer["Items"]], None if last is None else _read(last)

    def move(self, due: OverdueDelivery, *, now_ms: int) -> Delivery | None:
        """Make a delivery due now; None when it is no longer as the index says, or a worker holds it.

        `Malformed` when its row makes no sense to this version; it was moved all the same, out of the way.
        """
        try:
            answer = call(
                self._dynamodb.update_item,
                TableName=self._table,
                Key=rows.key_of(due.key),
                UpdateExpression=f"SET {NEXT_ATTEMPT_AT} = :now",
                ConditionExpression=(
                    f"{NEXT_ATTEMPT_AT} = :at AND #status IN (:queued, :retrying)"
                    " AND (attribute_not_exists(lease_until) OR lease_until < :now)"
                ),
                ExpressionAttributeNames=_NAMES,
                ExpressionAttributeValues={
                    ":now": n(now_ms),
                    ":at": n(due.at),
                    ":queued": s(Status.QUEUED),
                    ":retrying": s(Status.RETRYING),
                },
                ReturnValues="ALL_NEW",
            )
        except ConditionFailed:
            return None
        return rows.from_item(answer["Attributes"])


def _read(item: Item) -> OverdueDelivery:
    return OverdueDelivery(rows.read_key(item), items.number(item, NEXT_ATTEMPT_AT))
