"""Purges in the ConfigTable: `pk` is `purge#<workspace id>`, `sk` is `purge`.

The row is outside the partitions that a purge removes, and shows its result for a week after the end.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from posthorn.domain.errors import Malformed
from posthorn.domain.purge_job import PurgeJob, PurgePhase, PurgeState
from posthorn.stores import items
from posthorn.stores.items import n, s
from posthorn.stores.table import NEW, Table
from posthorn.stores.tables import PK, ROW_VERSION, SK, TTL, expiry

if TYPE_CHECKING:
    from collections.abc import Mapping

    from mypy_boto3_dynamodb import DynamoDBClient

    from posthorn.stores.items import Item

SHOWN_DAYS: Final = 7
"""How long a finished purge can be looked at."""

PREFIX: Final = "purge#"
_SORT_KEY: Final = "purge"


class Purges:
    """The purge of every workspace that was deleted."""

    def __init__(self, dynamodb: DynamoDBClient, table: str) -> None:
        self._table = Table(dynamodb, table)

    def create(self, job: PurgeJob) -> bool:
        """Write a new job; false if the workspace has one already."""
        return self._put(job, NEW)

    def get(self, workspace: str) -> PurgeJob | None:
        row = self._table.get(_key(workspace))
        return None if row is None else _from_item(row)

    def replace(self, old: PurgeJob, new: PurgeJob) -> bool:
        """Replace a job; false if it was changed since `old` was read."""
        return self._put(new, "revision = :old", ExpressionAttributeValues={":old": n(old.revision)})

    def _put(self, job: PurgeJob, condition: str, **options: Any) -> bool:
        return self._table.put(
            _to_item(job), condition=condition, is_ours=lambda found: _from_item(found) == job, **options
        )


def _key(workspace: str) -> Item:
    return {PK: s(PREFIX + workspace), SK: s(_SORT_KEY)}


def _to_item(job: PurgeJob) -> Item:
    item: Item = {
        **_key(job.workspace),
        "v": n(ROW_VERSION),
        "uid": s(job.uid),
        "created_at": n(job.created_at),
        "updated_at": n(job.updated_at),
        "sent_at": n(job.sent_at),
        "state": s(job.state),
        "round": n(job.round),
        "phase": s(job.phase),
        "position": s(job.position),
        "step": n(job.step),
        "removed": {"M": {kind: n(count) for kind, count in job.removed.items()}},
        "removed_in_round": n(job.removed_in_round),
        "revision": n(job.revision),
    }
    if job.finished_at is not None:
        item["finished_at"] = n(job.finished_at)
        item[TTL] = n(expiry(job.finished_at, SHOWN_DAYS))
    return item


def _from_item(item: Mapping[str, Any]) -> PurgeJob:
    if (version := items.number(item, "v")) > ROW_VERSION:
        raise Malformed(f"the row of a purge has the unknown version {version}")
    try:
        return PurgeJob(
            workspace=items.text(item, PK).removeprefix(PREFIX),
            uid=items.text(item, "uid"),
            created_at=items.number(item, "created_at"),
            updated_at=items.number(item, "updated_at"),
            sent_at=items.number(item, "sent_at"),
            state=PurgeState(items.text(item, "state")),
            round=items.number(item, "round"),
            phase=PurgePhase(items.text(item, "phase")),
            position=items.text(item, "position"),
            step=items.number(item, "step"),
            removed=items.numbers(item, "removed"),
            removed_in_round=items.number(item, "removed_in_round"),
            finished_at=items.optional_number(item, "finished_at"),
            revision=items.number(item, "revision"),
        )
    except ValueError as error:
        raise Malformed("the row of a purge holds an unknown value") from error
