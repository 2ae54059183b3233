"""Workspaces in the ConfigTable: one row under the id, and one under the uid, which keeps it unique.

Both hold the whole workspace and change in one transaction, so that a lookup by either name is one read. The index
`workspaces` lists the rows under ids in its partition `all`, and the rows under uids in a partition for each status:
every page is one query.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from posthorn.domain.errors import Malformed
from posthorn.domain.workspace import Workspace, WorkspaceStatus, is_uid, is_workspace_id
from posthorn.stores import batches, items
from posthorn.stores.items import n, s
from posthorn.stores.table import NEW, Table
from posthorn.stores.tables import (
    PK,
    ROW_VERSION,
    SK,
    WORKSPACE_ID,
    WORKSPACE_LIST,
    WORKSPACES_INDEX,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from mypy_boto3_dynamodb import DynamoDBClient

    from posthorn.domain.workspace import WorkspaceState
    from posthorn.stores.items import Item
    from posthorn.stores.table import IsOurs

_UID: Final = "workspace-uid#"
_SORT_KEY: Final = "workspace"
_ALL: Final = "all"
_BEFORE_ALL: Final = "wksp_"  # a key of an index cannot be compared with an empty string


class Workspaces:
    """The workspaces of the installation."""

    def __init__(self, dynamodb: DynamoDBClient, table: str) -> None:
        self._table = Table(dynamodb, table)

    def create(self, one: Workspace) -> bool:
        """Write a new workspace; false if another one has this uid."""
        return self._write(one, NEW, {}, is_ours=lambda found: items.text(found, WORKSPACE_ID) == one.id)

    def replace(self, old: Workspace, new: Workspace) -> bool:
        """Replace a workspace; false if it was changed or deleted since `old` was read."""
        return self._write(
            new,
            "revision = :old",
            {"ExpressionAttributeValues": {":old": n(old.revision)}},
            is_ours=lambda found: _from_item(found) == new,
        )

    def remove(self, workspace_id: str, uid: str) -> None:
        """Delete both rows of a workspace, unless that was done before; its uid is free then."""
        self._table.transact(
            {
                "Delete": {
                    "TableName": self._table.name,
                    "Key": _uid_key(uid),
                    "ConditionExpression": f"{WORKSPACE_ID} = :id",  # a new workspace may have the uid by now
                    "ExpressionAttributeValues": {":id": s(workspace_id)},
                }
            },
            {"Delete": {"TableName": self._table.name, "Key": _id_key(workspace_id)}},
        )

    def get(self, name: str) -> Workspace | None:
        """Return the workspace with this id or uid."""
        key = _key_of(name)
        row = None if key is None else self._table.get(key)
        return None if row is None else _from_item(row)

    def states(self, names: Iterable[str]) -> dict[str, WorkspaceState]:
        """Return the state of each workspace that exists of these ids and uids, by the name that was given."""
        keys = {name: key for name in names if (key := _key_of(name)) is not None}
        rows: dict[str, Item] = {}
        for chunk in batches.chunks(list(keys.values()), batches.READ_LIMIT):
            wanted = {self._table.name: {"Keys": chunk, "ConsistentRead": True}}
            found = batches.read(self._table.client, wanted)[self._table.name]
            rows |= {items.text(row, PK): row for row in found}
        found_by = {name: rows.get(items.text(key, PK)) for name, key in keys.items()}
        return {name: _from_item(row).state for name, row in found_by.items() if row is not None}

    def page(
        self, status: WorkspaceStatus | None, *, after: str | None, limit: int
    ) -> tuple[list[Workspace], str | None]:
        """Return workspaces, the oldest first, and the id after which the next page starts, if any.

        They come from an index, which lags slightly behind the rows.
        """
        page = self._table.query(
            limit=limit,
            IndexName=WORKSPACES_INDEX,
            KeyConditionExpression=f"{WORKSPACE_LIST} = :list AND {WORKSPACE_ID} > :after",
            ExpressionAttributeValues={":list": s(status or _ALL), ":after": s(after or _BEFORE_ALL)},
        )
        return [_from_item(row) for row in page.rows], page.position(WORKSPACE_ID)

    def _write(self, one: Workspace, condition: str, options: Mapping[str, Any], *, is_ours: IsOurs) -> bool:
        """Write both rows if the condition holds for the row under the uid."""
        shared = _shared(one)
        by_uid = {**shared, **_uid_key(one.uid), WORKSPACE_LIST: s(one.status)}
        by_id = {**shared, **_id_key(one.id), WORKSPACE_LIST: s(_ALL)}
        put: dict[str, Any] = {
            "TableName": self._table.name,
            "Item": by_uid,
            "ConditionExpression": condition,
            "ReturnValuesOnConditionCheckFailure": "ALL_OLD",
            **options,
        }
        writes = {"Put": put}, {"Put": {"TableName": self._table.name, "Item": by_id}}
        return self._table.transact(*writes, is_ours=is_ours)


def _key_of(name: str) -> Item | None:
    if is_uid(name):
        return _uid_key(name)
    return _id_key(name) if is_workspace_id(name) else None


def _id_key(workspace_id: str) -> Item:
    return {PK: s(workspace_id), SK: s(_SORT_KEY)}


def _uid_key(uid: str) -> Item:
    return {PK: s(_UID + uid), SK: s(_SORT_KEY)}


def _shared(one: Workspace) -> Item:
    """Return the attributes that both rows of a workspace have."""
    return {
        "v": n(ROW_VERSION),
        WORKSPACE_ID: s(one.id),
        "uid": s(one.uid),
        "name": s(one.name),
        "status": s(one.status),
        "metadata": {"M": {key: s(value) for key, value in one.metadata.items()}},
        "limits": {"M": {key: n(value) for key, value in one.limits.items()}},
        "created_at": n(one.created_at),
        "revision": n(one.revision),
    }


def _from_item(item: Mapping[str, Any]) -> Workspace:
    status = items.text(item, "status")
    if status not in frozenset(WorkspaceStatus):
        raise Malformed("the status of a workspace is unknown")
    return Workspace(
        id=items.text(item, WORKSPACE_ID),
        uid=items.text(item, "uid"),
        name=items.text(item, "name"),
        status=WorkspaceStatus(status),
        metadata=items.text_map(item, "metadata"),
        limits=items.numbers(item, "limits"),
        created_at=items.number(item, "created_at"),
        revision=items.number(item, "revision"),
    )
