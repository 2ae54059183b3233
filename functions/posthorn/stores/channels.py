"""The channels that have endpoints. Reads the whole ConfigTable, so it is for the operator's command, not for a request."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from posthorn.aws.clients import call
from posthorn.stores import endpoint_rows, items
from posthorn.stores.items import s
from posthorn.stores.tables import PK

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient


def channels_with_endpoints(dynamodb: DynamoDBClient, table: str) -> list[str]:
    """Return the names of all channels that have an endpoint, in order; disabled endpoints count.

    The channels of the workspaces of event destinations are among them: their operational events are there.
    """
    found: set[str] = set()
    options: dict[str, Any] = {}
    while True:
        page = call(
            dynamodb.scan,
            TableName=table,
            FilterExpression="begins_with(sk, :prefix)",
            ExpressionAttributeValues={":prefix": s(endpoint_rows.PREFIX)},
            ProjectionExpression="pk, workspace",
            ConsistentRead=True,
            **options,
        )
        found |= {items.text(row, name) for row in page["Items"] for name in (PK, "workspace")}
        if "LastEvaluatedKey" not in page:
            return sorted(found)
        options["ExclusiveStartKey"] = page["LastEvaluatedKey"]
