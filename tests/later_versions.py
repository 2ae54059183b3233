"""Endpoints as a later version of Posthorn might write them: this version cannot read them."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final

from posthorn.aws import clients

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.installation import Installation

LATER: Final[dict[str, dict[str, str]]] = {
    "v": {"N": "2"},
    "kind": {"S": "carrier-pigeon"},
    "format": {"S": "morse"},
}


@contextmanager
def unreadable(posthorn: Installation, channel: str, endpoint_id: str, attribute: str) -> Iterator[None]:
    """Let a later version have written an endpoint's row; inside the block only."""
    dynamodb, table = clients.client("dynamodb"), posthorn.tables["ConfigTable"]
    key = {"pk": {"S": channel}, "sk": {"S": f"endpoint#{endpoint_id}"}}
    row: Any = dynamodb.get_item(TableName=table, Key=key)["Item"]
    dynamodb.put_item(TableName=table, Item={**row, attribute: LATER[attribute]})
    yield
    dynamodb.put_item(TableName=table, Item=row)
