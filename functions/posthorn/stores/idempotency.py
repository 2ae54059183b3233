"""Idempotency keys in the ConfigTable: the decision of a request, stored so that a repetition decides the same.

Records of platform keys, which all of a platform's tenants share, are spread over 256 partitions.

A record holds the ids and the time that the first request chose, never its response. A repetition, even while the
first request is still running, writes the same rows again, which changes nothing.
"""

from __future__ import annotations

import hashlib
import hmac
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from posthorn.aws.clients import call
from posthorn.domain.api_key import PLATFORM
from posthorn.stores import items
from posthorn.stores.items import n, s
from posthorn.stores.table import NEW, Table
from posthorn.stores.tables import DAY, PK, ROW_VERSION, SK, TTL

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Any

    from mypy_boto3_dynamodb import DynamoDBClient

    from posthorn.stores.items import Item

_LIFETIME: Final = DAY


@dataclass(frozen=True, slots=True)
class Decision:
    """The decision of the first request with an idempotency key."""

    ids: tuple[str, ...]
    decided_at: int  # Unix milliseconds
    body_hash: bytes
    is_new: bool = True  # made by this request
    is_done: bool = False  # the first request completed
    is_kept: bool = True  # stored under an idempotency key

    def is_for(self, body: bytes) -> bool:
        return hmac.compare_digest(self.body_hash, hashlib.sha256(body).digest())


class Idempotency:
    """The idempotency keys of every workspace, and of the platform."""

    def __init__(self, dynamodb: DynamoDBClient, table: str) -> None:
        self._table = Table(dynamodb, table)

    def decide(
        self, owner: str, operation: str, key: str, *, body: bytes, ids: Sequence[str], now_ms: int
    ) -> Decision:
        """Return the decision under this key: this one, or the one that was stored before."""
        mine = Decision(tuple(ids), now_ms, hashlib.sha256(body).digest())
        item: Item = {
            **_key(owner, operation, key),
            "v": n(ROW_VERSION),
            "ids": items.texts(mine.ids),
            "decided_at": n(now_ms),
            "body_hash": {"B": mine.body_hash},
            TTL: n(now_ms // 1000 + _LIFETIME),
        }
        found = _from_item(
            self._table.put_or_find(
                item,
                condition=f"{NEW} OR expires_at <= :now",  # DynamoDB may take days to remove an expired row
                ExpressionAttributeValues={":now": n(now_ms // 1000)},
            )
        )
        return mine if (found.ids, found.decided_at) == (mine.ids, mine.decided_at) else found

    def finish(self, owner: str, operation: str, key: str) -> None:
        """Record that the request under this key completed."""
        call(
            self._table.client.update_item,
            TableName=self._table.name,
            Key=_key(owner, operation, key),
            UpdateExpression="SET done = :yes",
            ExpressionAttributeValues={":yes": {"BOOL": True}},
        )

    def forget(self, owner: str, operation: str, key: str) -> None:
        """Free a key whose request had no effect."""
        call(
            self._table.client.delete_item,
            TableName=self._table.name,
            Key=_key(owner, operation, key),
        )


def _key(owner: str, operation: str, key: str) -> Item:
    digest = hashlib.sha256(f"{operation}\n{key}".encode()).hexdigest()
    partition = f"{owner}#{digest[:2]}" if owner == PLATFORM else owner
    return {PK: s(partition), SK: s(f"idempotency#{digest}")}


def _from_item(item: Mapping[str, Any]) -> Decision:
    return Decision(
        ids=items.text_list(item, "ids"),
        decided_at=items.number(item, "decided_at"),
        body_hash=items.binary(item, "body_hash"),
        is_new=False,
        is_done=items.flag(item, "done", default=False),
    )
