"""What is left of deleted endpoints in the ConfigTable, for as long as the log tells of their deliveries."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from posthorn.aws.clients import call
from posthorn.domain.errors import ConditionFailed
from posthorn.stores import endpoint_rows, items
from posthorn.stores.items import n, s
from posthorn.stores.tables import PK, ROW_VERSION, SK, TTL, expiry

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

    from posthorn.domain.models import Endpoint
    from posthorn.stores.items import Item

SHOWN: Final = 200
"""Deleted endpoints of a channel that the log asks for deliveries: those that were made last."""

_PREFIX: Final = "deleted#"


@dataclass(frozen=True, slots=True)
class DeletedEndpoint:
    """An endpoint that was deleted, as far as the log still needs it."""

    id: str
    events: tuple[str, ...]
    created_at: int
    deleted_at: int


class DeletedEndpoints:
    """The deleted endpoints of every channel."""

    def __init__(self, dynamodb: DynamoDBClient, table: str, *, retention_days: int) -> None:
        self._dynamodb = dynamodb
        self._table = table
        self._retention_days = retention_days

    def delete(self, endpoint: Endpoint, *, now_ms: int) -> bool:
        """Remove an endpoint and leave its tombstone, both or neither; false when it was gone already.

        A call whose answer was lost is repeated by botocore and then finds its own tombstone.
        """
        deleted = DeletedEndpoint(endpoint.id, endpoint.events, endpoint.created_at, deleted_at=now_ms)
        item: Item = {
            PK: s(endpoint.channel),
            SK: s(_PREFIX + deleted.id),
            "v": n(ROW_VERSION),
            "events": items.texts(deleted.events),
            "created_at": n(deleted.created_at),
            "deleted_at": n(deleted.deleted_at),
            TTL: n(expiry(now_ms, self._retention_days)),
        }
        try:
            call(
                self._dynamodb.transact_write_items,
                TransactItems=[
                    {
                        "Delete": {
                            "TableName": self._table,
                            "Key": endpoint_rows.key_of(endpoint.channel, endpoint.id),
                            "ConditionExpression": "attribute_exists(pk)",
                        }
                    },
                    {"Put": {"TableName": self._table, "Item": item}},
                ],
            )
        except ConditionFailed:
            return self._get(endpoint.channel, endpoint.id) == deleted
        return True

    def of_channel(self, channel: str) -> list[DeletedEndpoint]:
        """Return the endpoints that were deleted from a channel, those that were made last first."""
        answer = call(
            self._dynamodb.query,
            TableName=self._table,
            KeyConditionExpression="pk = :channel AND begins_with(sk, :prefix)",
            ExpressionAttributeValues={":channel": s(channel), ":prefix": s(_PREFIX)},
            ScanIndexForward=False,
            Limit=SHOWN,
        )
        return [_from_item(item) for item in answer["Items"]]

    def _get(self, channel: str, endpoint_id: str) -> DeletedEndpoint | None:
        answer = call(
            self._dynamodb.get_item,
            TableName=self._table,
            Key={PK: s(channel), SK: s(_PREFIX + endpoint_id)},
            ConsistentRead=True,
        )
        return _from_item(answer["Item"]) if "Item" in answer else None


def _from_item(item: Item) -> DeletedEndpoint:
    return DeletedEndpoint(
        id=items.text(item, SK).removeprefix(_PREFIX),
        events=items.text_list(item, "events"),
        created_at=items.number(item, "created_at"),
        deleted_at=items.number(item, "deleted_at"),
    )
