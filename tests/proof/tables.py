"""The contents of moto's tables, read without botocore, which would take most of the proof's time."""

from __future__ import annotations

import base64
import copy
import json
from typing import TYPE_CHECKING, Any, Final

from moto.dynamodb.models import dynamodb_backends
from moto.dynamodb.models.dynamo_type import DynamoType

from posthorn.stores import delivery_rows, endpoint_rows, replays
from tests.template import ACCOUNT, REGION

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from posthorn.domain.models import Delivery, DeliveryKey, Endpoint
    from posthorn.domain.replay_job import ReplayJob

_CHANGING: Final = ("EventsTable", "DeliveriesTable", "ConfigTable")


class Tables:
    """The tables of an installation; `names` maps logical names to physical ones."""

    def __init__(self, names: Mapping[str, str]) -> None:
        self._moto = dynamodb_backends[ACCOUNT][REGION].tables
        self._names = names
        self._config: dict[str, Any] = {}
        self.keep_config()

    def keep_config(self) -> None:
        """Keep the ConfigTable's present contents for the beginning of every run."""
        self._config = copy.deepcopy(self._table("ConfigTable").items)

    def begin(self) -> None:
        """Delete all rows except the kept ones."""
        for name in _CHANGING:
            self._table(name).items.clear()
        self._table("ConfigTable").items.update(copy.deepcopy(self._config))
        self._table("EventsTable").stream_shard.items.clear()

    def fresh_records(self) -> list[dict[str, Any]]:
        """Remove and return the stream records that the mapping's filter lets through."""
        shard = self._table("EventsTable").stream_shard
        records = [json.loads(json.dumps(change.to_json(), default=_plain)) for change in shard.items]
        shard.items.clear()
        return [record for record in records if record["eventName"] == "INSERT"]

    def endpoints(self) -> list[Endpoint]:
        return [
            endpoint_rows.from_item(item)
            for item in self._items("ConfigTable")
            if item["sk"]["S"].startswith(endpoint_rows.PREFIX)
        ]

    def row(self, key: DeliveryKey) -> Delivery | None:
        rows = self._table("DeliveriesTable").items.get(_key(key.endpoint_id), {})
        item = rows.get(_key(key.event_id))
        return None if item is None else delivery_rows.from_item(item.to_json()["Attributes"])

    def rows(self) -> list[Delivery]:
        return [delivery_rows.from_item(item) for item in self._items("DeliveriesTable")]

    def replays(self) -> list[ReplayJob]:
        """Return the bulk replays of all endpoints, including deleted ones."""
        return [
            replays.from_item(item)
            for item in self._items("ConfigTable")
            if item["sk"]["S"].startswith(replays.PREFIX)
        ]

    def _items(self, table: str) -> Iterator[dict[str, Any]]:
        for rows in self._table(table).items.values():
            for item in rows.values():
                yield item.to_json()["Attributes"]

    def _table(self, name: str) -> Any:
        return self._moto[self._names[name]]


def _key(text: str) -> DynamoType:
    return DynamoType({"S": text})


def _plain(value: Any) -> str:
    return base64.b64encode(value).decode() if isinstance(value, bytes) else str(value)
