"""Endpoints of all workspaces that fail or are disabled, by the index `trouble` of the ConfigTable.

Only rows of such endpoints have its attributes, so it costs nothing for the others. Its partitions are the kinds of
trouble; its sort key is when the trouble began, and the endpoint's id.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

from posthorn.domain.errors import Malformed
from posthorn.domain.trouble import Trouble
from posthorn.stores import endpoint_rows, items
from posthorn.stores.items import s
from posthorn.stores.table import Table
from posthorn.stores.tables import SK, TROUBLE, TROUBLE_INDEX, TROUBLE_SINCE

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from mypy_boto3_dynamodb import DynamoDBClient

_NEWEST: Final = "~"  # behind every time


@dataclass(frozen=True, slots=True)
class TroubledEndpoint:
    """An endpoint of any workspace that needs attention."""

    id: str
    workspace: str
    kind: str
    host: str
    trouble: Trouble
    since: int
    disabled_reason: str | None
    position: str


class TroubledEndpoints:
    """The endpoints of all workspaces that need attention."""

    def __init__(self, dynamodb: DynamoDBClient, table: str) -> None:
        self._table = Table(dynamodb, table)

    def page(
        self, troubles: Iterable[Trouble], *, after: str | None, limit: int
    ) -> tuple[list[TroubledEndpoint], str | None]:
        """Return endpoints, the newest trouble first, and the position after which the next page starts, if any.

        They come from an index, which lags slightly behind the rows.
        """
        found: list[TroubledEndpoint] = []
        is_more = False
        for trouble in troubles:
            page = self._table.query(
                limit=limit,
                IndexName=TROUBLE_INDEX,
                KeyConditionExpression=f"{TROUBLE} = :trouble AND {TROUBLE_SINCE} < :after",
                ExpressionAttributeValues={":trouble": s(trouble), ":after": s(after or _NEWEST)},
                ScanIndexForward=False,
            )
            found += map(_from_item, page.rows)
            is_more = is_more or page.last is not None
        found.sort(key=lambda one: one.position, reverse=True)
        is_more = is_more or len(found) > limit
        return found[:limit], found[limit - 1].position if is_more else None


def _from_item(item: Mapping[str, Any]) -> TroubledEndpoint:
    position = items.text(item, TROUBLE_SINCE)
    trouble, since = items.text(item, TROUBLE), position.partition("#")[0]
    if trouble not in frozenset(Trouble) or not since.isdecimal():
        raise Malformed("the row of an endpoint has an unknown trouble")
    return TroubledEndpoint(
        id=items.text(item, SK).removeprefix(endpoint_rows.PREFIX),
        workspace=items.text(item, "workspace"),
        kind=items.text(item, "kind"),
        # only the host: the rest of a URL can be a credential
        host=urlsplit(items.text(item, "url")).hostname or "",
        trouble=Trouble(trouble),
        since=int(since),
        disabled_reason=items.optional_text(item, "disabled_reason"),
        position=position,
    )
