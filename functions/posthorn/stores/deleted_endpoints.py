"""Tombstones of deleted endpoints in the ConfigTable, kept for as long as the log shows their deliveries."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from posthorn.stores import endpoint_rows, items
from posthorn.stores.endpoint_counts import EndpointCounts
from posthorn.stores.items import n, s
from posthorn.stores.table import Table
from posthorn.stores.tables import PK, ROW_VERSION, SK, TTL, expiry

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

    from posthorn.domain.models import Endpoint
    from posthorn.stores.items import Item

SHOWN: Final = 200
"""Deleted endpoints of a channel that the log looks up deliveries of: the most recently created ones."""

PREFIX: Final = "deleted#"


@dataclass(frozen=True, slots=True)
class DeletedEndpoint:
    """The part of a deleted endpoint that the log still needs."""

    id: str
    events: tuple[str, ...]
    created_at: int
    deleted_at: int


class DeletedEndpoints:
    """The deleted endpoints of every channel."""

    def __init__(self, dynamodb: DynamoDBClient, table: str, *, retention_days: int) -> None:
        self._table = Table(dynamodb, table)
        self._retention_days = retention_days
        self._counts = EndpointCounts(self._table)

    def delete(self, endpoint: Endpoint, *, now_ms: int) -> bool:
        """Delete an endpoint and write what the log needs of it, both or neither; false if it was gone, or moved."""
        deleted = DeletedEndpoint(endpoint.id, endpoint.events, endpoint.created_at, deleted_at=now_ms)
        item: Item = {
            **key_of(endpoint.channel, deleted.id),
            "v": n(ROW_VERSION),
            "events": items.texts(deleted.events),
            "created_at": n(deleted.created_at),
            "deleted_at": n(deleted.deleted_at),
            TTL: n(expiry(now_ms, self._retention_days)),
        }
        deletion = self._counts.deletion(endpoint_rows.to_item(endpoint))
        if self._table.transact(*deletion, {"Put": {"TableName": self._table.name, "Item": item}}):
            return True
        # if the endpoint's row is gone, only the row written here tells whether this call deleted it
        found = self._table.get({PK: item[PK], SK: item[SK]})
        return found is not None and _from_item(found) == deleted

    def of_channel(self, channel: str) -> list[DeletedEndpoint]:
        """Return the endpoints that were deleted from a channel, the most recently created first."""
        page = self._table.query_prefix(channel, PREFIX, limit=SHOWN, ScanIndexForward=False)
        return [_from_item(row) for row in page.rows]


def key_of(channel: str, endpoint_id: str) -> Item:
    return {PK: s(channel), SK: s(PREFIX + endpoint_id)}


def buried(channel: str, endpoint_id: str) -> Item:
    """Return the row that a purge leaves of an endpoint for as long as it runs. No log shows it."""
    return {
        **key_of(channel, endpoint_id),
        "v": n(ROW_VERSION),
        "events": items.texts(()),
        "created_at": n(0),
        "deleted_at": n(0),
    }


def _from_item(item: Item) -> DeletedEndpoint:
    return DeletedEndpoint(
        id=items.text(item, SK).removeprefix(PREFIX),
        events=items.text_list(item, "events"),
        created_at=items.number(item, "created_at"),
        deleted_at=items.number(item, "deleted_at"),
    )
