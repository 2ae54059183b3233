"""The live bulk replays of each workspace, in one row of the ConfigTable: `pk` is the workspace, `sk` `live-replays`.

The row lists the jobs that were live when the last one was created. Whether a job still is, only its own row tells, so
nothing has to be freed when a job ends or is lost.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from posthorn.stores import items
from posthorn.stores.items import n, s
from posthorn.stores.table import NEW
from posthorn.stores.tables import PK, ROW_VERSION, SK

if TYPE_CHECKING:
    from collections.abc import Sequence

    from posthorn.stores.items import Item
    from posthorn.stores.table import Table

_SORT_KEY: Final = "live-replays"

type JobKey = tuple[str, str]
"""The ids of an endpoint and of its replay."""


@dataclass(frozen=True, slots=True)
class LiveJobs:
    """The jobs in the row of a workspace; `revision` 0 means that there is no row."""

    jobs: tuple[JobKey, ...] = ()
    revision: int = 0


def read(table: Table, workspace: str) -> LiveJobs:
    row = table.get(_key(workspace))
    if row is None:
        return LiveJobs()
    endpoints, replays = items.text_list(row, "endpoints"), items.text_list(row, "replays")
    return LiveJobs(tuple(zip(endpoints, replays, strict=True)), items.number(row, "revision"))


def write(table: Table, workspace: str, jobs: Sequence[JobKey], *, old: LiveJobs) -> dict[str, Any]:
    """Return the write of a transaction that replaces the list; it fails if the list changed since it was read."""
    put: dict[str, Any] = {
        "TableName": table.name,
        "Item": {
            **_key(workspace),
            "v": n(ROW_VERSION),
            "endpoints": items.texts(endpoint_id for endpoint_id, _ in jobs),
            "replays": items.texts(replay_id for _, replay_id in jobs),
            "revision": n(old.revision + 1),
        },
        "ConditionExpression": NEW,
    }
    if old.revision:
        put |= {
            "ConditionExpression": "revision = :old",
            "ExpressionAttributeValues": {":old": n(old.revision)},
        }
    return {"Put": put}


def _key(workspace: str) -> Item:
    return {PK: s(workspace), SK: s(_SORT_KEY)}
