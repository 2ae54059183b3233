"""The endpoints of a workspace, counted as a whole and for each host; event destinations count, too."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any, Final

from posthorn.domain.hosts import host_of
from posthorn.domain.workspace_limits import WorkspaceLimits
from posthorn.stores import items
from posthorn.stores.counts import Counts, Kind
from posthorn.stores.tables import PK, SK

if TYPE_CHECKING:
    from collections.abc import Sequence

    from posthorn.domain.models import Endpoint
    from posthorn.stores.items import Item
    from posthorn.stores.table import Table

ENDPOINTS: Final = "endpoints"

_NO_LIMITS: Final = WorkspaceLimits()


class EndpointCounts:
    """The writes that keep the counts, each for a transaction with the endpoint's own row."""

    def __init__(self, table: Table) -> None:
        self._table = table
        self._counts = Counts(table)

    def created(self, endpoint: Endpoint, limits: WorkspaceLimits) -> list[dict[str, Any]]:
        """Return the writes that count a new endpoint."""
        return [self._counts.add(endpoint.workspace, kind) for kind in _kinds(endpoint.host, limits)]

    def moved(self, old: Endpoint, new: Endpoint, limits: WorkspaceLimits) -> list[dict[str, Any]]:
        """Return the writes that count an endpoint at its new host; none if it stays at its host."""
        if old.host == new.host:
            return []
        return [
            self._counts.add(new.workspace, _at(new.host, limits)),
            self._counts.subtract(old.workspace, _at(old.host, _NO_LIMITS)),
        ]

    def deletion(self, row: Item) -> list[dict[str, Any]]:
        """Return the writes that delete an endpoint's row, readable or not, and no longer count it.

        They fail if the row is gone, or has another URL by now.
        """
        delete: dict[str, Any] = {
            "TableName": self._table.name,
            "Key": {PK: row[PK], SK: row[SK]},
            "ConditionExpression": "attribute_exists(pk)",
        }
        if not items.is_text(row, "workspace"):
            return [{"Delete": delete}]
        host = None
        if items.is_text(row, "url"):
            host = host_of(items.text(row, "url"))
            delete["ConditionExpression"] = "#url = :url"
            delete["ExpressionAttributeNames"] = {"#url": "url"}
            delete["ExpressionAttributeValues"] = {":url": row["url"]}
        workspace = items.text(row, "workspace")
        counted = _kinds(host, _NO_LIMITS)
        return [{"Delete": delete}, *(self._counts.subtract(workspace, kind) for kind in counted)]

    def check_created(self, endpoint: Endpoint, limits: WorkspaceLimits) -> None:
        """Raise `LimitReached` if there is no room for a new endpoint."""
        self._counts.check(endpoint.workspace, _kinds(endpoint.host, limits))

    def check_moved(self, new: Endpoint, limits: WorkspaceLimits) -> None:
        """Raise `LimitReached` if there is no room at the host that an endpoint moves to."""
        self._counts.check(new.workspace, [_at(new.host, limits)])

    def numbers(self, workspaces: Sequence[str]) -> dict[str, int]:
        """Return how many endpoints each of up to 100 workspaces has, read in one call."""
        return self._counts.numbers(workspaces, ENDPOINTS)


def _kinds(host: str | None, limits: WorkspaceLimits) -> list[Kind]:
    all_of_them = Kind(ENDPOINTS, "endpoints", limits.endpoints)
    return [all_of_them] if host is None else [all_of_them, _at(host, limits)]


def _at(host: str, limits: WorkspaceLimits) -> Kind:
    # a count outlives its endpoints, and their hosts must not
    digest = hashlib.sha256(host.encode()).hexdigest()[:32]
    return Kind(f"{ENDPOINTS}-at#{digest}", "endpointsPerHost", limits.endpoints_per_host)
