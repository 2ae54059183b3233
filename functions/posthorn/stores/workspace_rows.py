"""Every row that belongs to a workspace, in all three tables, found without a scan.

The partition of a workspace names its configuration sets, and a channel's partition names its endpoints, deleted ones
included. Deliveries and replays are under endpoints, events under channels. Endpoints and sets that a purge removes
leave a row each, so that rows written late are found, too; these go last.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Final

from posthorn.domain.ids import EVENT_SHARDS
from posthorn.domain.purge_job import PurgeKind
from posthorn.stores import batches, configuration_sets, deleted_endpoints, endpoint_rows, items
from posthorn.stores.items import s
from posthorn.stores.table import Table
from posthorn.stores.tables import KEY_WORKSPACE, KEYS_INDEX, PK, SK

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from mypy_boto3_dynamodb import DynamoDBClient

    from posthorn.stores.items import Item

PAGE: Final = 100
"""Rows that are deleted before the progress is recorded."""

WORKSPACE_ROW: Final = "workspace"

KINDS: Final[Mapping[str, PurgeKind]] = {
    endpoint_rows.PREFIX: PurgeKind.ENDPOINTS,
    deleted_endpoints.PREFIX: PurgeKind.OTHER,
    configuration_sets.SET: PurgeKind.CONFIGURATION_SETS,
    configuration_sets.NAME: PurgeKind.OTHER,
    configuration_sets.DELETED: PurgeKind.OTHER,
    "event-type#": PurgeKind.EVENT_TYPES,
    "event-type-slot#": PurgeKind.OTHER,
    "sender_identity#": PurgeKind.OTHER,
    "count#": PurgeKind.OTHER,
    "live-replays": PurgeKind.OTHER,
    "bucket#": PurgeKind.OTHER,
    "idempotency#": PurgeKind.OTHER,
    "replay#": PurgeKind.REPLAYS,
    "key": PurgeKind.API_KEYS,
}
"""The start of a sort key in the ConfigTable, and what it counts as. Rows of other kinds in a workspace's partition are
removed, too; a kind of row that is elsewhere, or has resources outside the tables, needs a step of its own."""

NOT_REMOVED: Final[Mapping[str, str]] = {
    WORKSPACE_ROW: "both rows of the workspace are removed last, in one transaction",
    "purge": "shows the result of the purge, and expires a week later",
    "cursor-key": "belongs to the installation",
}

# What finds the rest: an endpoint or a set must not be forgotten while rows of it may be left.
_FINDING: Final = (
    endpoint_rows.PREFIX,
    deleted_endpoints.PREFIX,
    configuration_sets.SET,
    configuration_sets.DELETED,
)

type Removed = Mapping[PurgeKind, int]


class WorkspaceRows:
    """Lists and deletes the rows of workspaces. Every page that is yielded has been deleted.

    No page is empty, so a caller that stops after one and starts over makes progress.
    """

    def __init__(
        self, dynamodb: DynamoDBClient, *, config_table: str, events_table: str, deliveries_table: str
    ) -> None:
        self._config = Table(dynamodb, config_table)
        self._events = Table(dynamodb, events_table)
        self._deliveries = Table(dynamodb, deliveries_table)

    def channels(self, workspace: str) -> list[str]:
        """Return the configuration sets, deleted ones included, in order, and last the workspace."""
        sets = {*self.configuration_sets(workspace), *self.deleted_sets(workspace)}
        return [*sorted(sets), workspace]  # `cs_` sorts before `wksp_`

    def configuration_sets(self, workspace: str) -> Iterator[str]:
        return self._ids(workspace, configuration_sets.SET)

    def deleted_sets(self, workspace: str) -> Iterator[str]:
        return self._ids(workspace, configuration_sets.DELETED)

    def deleted_endpoints(self, channel: str, *, after: str = "") -> Iterator[str]:
        """Yield the ids of endpoints that were deleted from a channel, from the one that follows `after`."""
        return self._ids(channel, deleted_endpoints.PREFIX, after=after)

    def delete_api_keys(self, workspace: str) -> Iterator[Removed]:
        """Delete the API keys that the index lists, which lags slightly behind the rows."""
        after: Item | None = None
        while True:
            page = self._config.query(
                after=after,
                limit=PAGE,
                IndexName=KEYS_INDEX,
                KeyConditionExpression=f"{KEY_WORKSPACE} = :workspace",
                ExpressionAttributeValues={":workspace": s(workspace)},
            )
            if page.rows:
                yield self._delete(self._config, page.rows, _kind_of)
            if (after := page.last) is None:
                return

    def bury_endpoints(self, channel: str) -> Iterator[Removed]:
        """Delete the endpoints of a channel; their deletion rows name their deliveries to later phases."""
        for ids in self._pages_of_ids(channel, endpoint_rows.PREFIX):
            self._put([deleted_endpoints.buried(channel, one) for one in ids])
            yield self._delete(self._config, [endpoint_rows.key_of(channel, one) for one in ids], _kind_of)

    def bury_set(self, workspace: str, set_id: str) -> Removed:
        """Delete a configuration set; its deletion row names its channel to later phases."""
        self._put([configuration_sets.buried(workspace, set_id)])
        return self._delete(self._config, [configuration_sets.set_key(workspace, set_id)], _kind_of)

    def delete_settings(self, workspace: str) -> Iterator[Removed]:
        """Delete the rows of the workspace's partition that the other phases do not need."""
        return self._delete_partition(self._config, workspace, _kind_of, keep=_FINDING)

    def delete_deliveries(self, endpoint_id: str) -> Iterator[Removed]:
        """Delete the deliveries of an endpoint and its bulk replays."""
        yield from self._delete_partition(self._deliveries, endpoint_id, lambda _: PurgeKind.DELIVERIES)
        yield from self._delete_partition(self._config, endpoint_id, _kind_of)

    def delete_events(self, channel: str) -> Iterator[Removed]:
        for shard in range(EVENT_SHARDS):
            yield from self._delete_partition(self._events, f"{channel}#{shard}", lambda _: PurgeKind.EVENTS)

    def delete_remainder(self, channel: str) -> Iterator[Removed]:
        """Delete all that is left in a channel's partition, except for the row of the workspace."""
        return self._delete_partition(self._config, channel, _kind_of)

    def _delete_partition(
        self,
        table: Table,
        partition: str,
        kind_of: Callable[[str], PurgeKind],
        *,
        keep: tuple[str, ...] = (),
    ) -> Iterator[Removed]:
        for keys in self._pages(table, partition):
            sort_keys = [items.text(key, SK) for key in keys]
            going = [
                key
                for key, name in zip(keys, sort_keys, strict=True)
                if name != WORKSPACE_ROW and not name.startswith(keep)
            ]
            if going:
                yield self._delete(table, going, kind_of)

    def _ids(self, partition: str, prefix: str, *, after: str = "") -> Iterator[str]:
        for page in self._pages_of_ids(partition, prefix, after=after):
            yield from page

    def _pages_of_ids(self, partition: str, prefix: str, *, after: str = "") -> Iterator[list[str]]:
        """Yield the parts of sort keys that follow a prefix."""
        for keys in self._pages(self._config, partition, prefix=prefix, after=after):
            yield [items.text(key, SK).removeprefix(prefix) for key in keys]

    def _pages(
        self, table: Table, partition: str, *, prefix: str = "", after: str = ""
    ) -> Iterator[list[Item]]:
        """Yield the keys of a partition's rows, read consistently; the rows may be deleted meanwhile."""
        values = {":partition": s(partition)} | ({":prefix": s(prefix)} if prefix else {})
        last: Item | None = {PK: s(partition), SK: s(prefix + after)} if after else None
        while True:
            page = table.query(
                after=last,
                limit=PAGE,
                KeyConditionExpression="pk = :partition"
                + (" AND begins_with(sk, :prefix)" if prefix else ""),
                ExpressionAttributeValues=values,
                ProjectionExpression="pk, sk",
                ConsistentRead=True,
            )
            if page.rows:
                yield page.rows
            if (last := page.last) is None:
                return

    def _put(self, rows: list[Item]) -> None:
        for chunk in batches.chunks(rows, batches.WRITE_LIMIT):
            batches.put_every(self._config.client, self._config.name, chunk)

    def _delete(self, table: Table, rows: list[Item], kind_of: Callable[[str], PurgeKind]) -> Removed:
        """Delete rows one batch after another, so that a purge leaves the tables' throughput to live traffic."""
        keys = [{PK: row[PK], SK: row[SK]} for row in rows]
        for chunk in batches.chunks(keys, batches.WRITE_LIMIT):
            batches.delete_every(table.client, table.name, chunk)
        return Counter(kind_of(items.text(key, SK)) for key in keys)


def _kind_of(sort_key: str) -> PurgeKind:
    """Return what a row of the ConfigTable counts as: its sort key starts with the kind and, if there are many, `#`."""
    name, mark, _ = sort_key.partition("#")
    return KINDS.get(name + mark, PurgeKind.OTHER)
