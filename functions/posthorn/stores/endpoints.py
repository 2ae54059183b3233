"""Endpoints in the ConfigTable, under their channel."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from posthorn.domain.compare_and_set import compare_and_set
from posthorn.domain.errors import Malformed, Unavailable
from posthorn.stores import batches, deleted_endpoints, items
from posthorn.stores import endpoint_rows as rows
from posthorn.stores.endpoint_counts import EndpointCounts
from posthorn.stores.items import n
from posthorn.stores.table import NEW, Table
from posthorn.stores.tables import SK

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from mypy_boto3_dynamodb import DynamoDBClient

    from posthorn.domain.models import Endpoint
    from posthorn.domain.workspace_limits import WorkspaceLimits
    from posthorn.stores.items import Item
    from posthorn.stores.table import Page


@dataclass(frozen=True, slots=True)
class ChannelEndpoints:
    """The endpoints of a channel. Those that this version cannot read exist all the same: deliveries depend on them."""

    endpoints: Sequence[Endpoint]  # the oldest first
    unreadable: Sequence[str]  # ids


class Endpoints:
    """The endpoints of every channel."""

    def __init__(
        self, dynamodb: DynamoDBClient, table: str, *, on_unreadable: Callable[[str, str], None]
    ) -> None:
        self._table = Table(dynamodb, table)
        self.counts = EndpointCounts(self._table)
        self._on_unreadable = (
            on_unreadable  # called with the row in a list that cannot be read, and the reason
        )

    def create(self, endpoint: Endpoint, limits: WorkspaceLimits) -> bool:
        """Write and count a new endpoint; false if there is one with this id already, `LimitReached` without room."""
        return compare_and_set(
            lambda: self._create_once(endpoint, limits), contended=Unavailable("create endpoint", "Contended")
        )

    def _create_once(self, endpoint: Endpoint, limits: WorkspaceLimits) -> bool | None:
        """Write and count a new endpoint; None if there was no room, and now there is."""
        item = rows.to_item(endpoint)
        put = {"TableName": self._table.name, "Item": item, "ConditionExpression": NEW}
        if self._table.transact({"Put": put}, *self.counts.created(endpoint, limits)):
            return True
        if self._table.get(rows.key_of(endpoint.channel, endpoint.id)) is not None:
            return False
        self.counts.check_created(endpoint, limits)
        return None

    def get(self, channel: str, endpoint_id: str) -> Endpoint | None:
        row = self._table.get(rows.key_of(channel, endpoint_id))
        return None if row is None else rows.from_item(row)

    def get_many(self, keys: Iterable[tuple[str, str]]) -> dict[str, Endpoint]:
        """Return the endpoints that exist of up to 100 (channel, endpoint id) pairs, by id."""
        wanted = [rows.key_of(channel, endpoint_id) for channel, endpoint_id in sorted(set(keys))]
        if not wanted:
            return {}
        found = batches.read(self._table.client, {self._table.name: {"Keys": wanted, "ConsistentRead": True}})
        return {endpoint.id: endpoint for endpoint in map(rows.from_item, found[self._table.name])}

    def is_known(self, channel: str, endpoint_id: str) -> bool:
        """Return whether there is a row of this endpoint, or of its deletion."""
        keys = [rows.key_of(channel, endpoint_id), deleted_endpoints.key_of(channel, endpoint_id)]
        found = batches.read(self._table.client, {self._table.name: {"Keys": keys, "ConsistentRead": True}})
        return bool(found[self._table.name])

    def of_channel(self, channel: str) -> ChannelEndpoints:
        """Return every endpoint of a channel, read consistently."""
        found: list[Endpoint] = []
        unreadable: list[str] = []
        after: str | None = None
        while True:
            page = self._query(channel, after=after)
            for row in page.rows:
                if (endpoint := self._read(row)) is None:
                    unreadable.append(rows.id_of(row))
                else:
                    found.append(endpoint)
            if (after := page.position(prefix=rows.PREFIX)) is None:
                return ChannelEndpoints(found, unreadable)

    def page(
        self, channel: str, *, after: str | None = None, limit: int | None = None
    ) -> tuple[list[Endpoint], str | None]:
        """Return endpoints, the oldest first, and the id after which the next page starts, if any.

        Endpoints that this version cannot read are left out: only for lists that say so.
        """
        page = self._query(channel, after=after, limit=limit)
        found = [endpoint for row in page.rows if (endpoint := self._read(row)) is not None]
        return found, page.position(prefix=rows.PREFIX)

    def replace(self, old: Endpoint, new: Endpoint, limits: WorkspaceLimits, *beside: Any) -> bool:
        """Replace an endpoint; false if it was changed or deleted since `old` was read.

        `LimitReached` if its new host has no room. `beside` are further writes of the same transaction.
        """
        values = {":old": n(old.revision)}
        writes = [*self.counts.moved(old, new, limits), *beside]
        if not writes:
            return self._table.put(
                rows.to_item(new),
                condition="revision = :old",
                is_ours=lambda found: rows.from_item(found) == new,
                ExpressionAttributeValues=values,
            )
        put = {
            "TableName": self._table.name,
            "Item": rows.to_item(new),
            "ConditionExpression": "revision = :old",
            "ExpressionAttributeValues": values,
            "ReturnValuesOnConditionCheckFailure": "ALL_OLD",
        }
        if self._table.transact({"Put": put}, *writes, is_ours=lambda found: rows.from_item(found) == new):
            return True
        if old.host != new.host and self.get(old.channel, old.id) == old:
            self.counts.check_moved(new, limits)
        return False

    def delete(self, channel: str, endpoint_id: str) -> bool:
        """Delete an endpoint, even one whose row cannot be read; false if there was none."""
        return compare_and_set(
            lambda: self._delete_once(channel, endpoint_id),
            contended=Unavailable("delete endpoint", "Contended"),
        )

    def _delete_once(self, channel: str, endpoint_id: str) -> bool | None:
        """Delete an endpoint and no longer count it; None if it changed meanwhile."""
        row = self._table.get(rows.key_of(channel, endpoint_id))
        if row is None:
            return False
        return self._table.transact(*self.counts.deletion(row)) or None

    def _query(self, channel: str, *, after: str | None, limit: int | None = None) -> Page:
        return self._table.query_prefix(
            channel,
            rows.PREFIX,
            after=after,
            limit=limit,
            ConsistentRead=True,  # an event may be published right after its endpoint is created
        )

    def _read(self, item: Item) -> Endpoint | None:
        """Read one row of many; one that this version cannot read must not hide the others."""
        try:
            return rows.from_item(item)
        except Malformed as error:
            self._on_unreadable(items.text(item, SK), str(error))
            return None
