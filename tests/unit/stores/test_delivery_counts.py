"""Counts of an endpoint's undelivered deliveries, in moto."""

from __future__ import annotations

import boto3
import pytest
from moto import mock_aws

from posthorn.stores.delivery_counts import Count, DeliveryCounts
from posthorn.stores.items import s
from tests.aws import create_tables
from tests.strict_dynamodb import strict


@pytest.mark.parametrize(
    ("limit", "count"),
    [(2, Count(2, is_more=True)), (3, Count(3, is_more=False)), (4, Count(3, is_more=False))],
)
def test_a_count_that_reaches_the_limit_says_whether_there_are_more(limit: int, count: Count) -> None:
    """Exactly as many as the limit are all of them."""
    with mock_aws(), strict():
        client = boto3.client("dynamodb")
        table = create_tables(client)["DeliveriesTable"]
        for number in range(3):
            event_id = s(f"evt_0000000000000000000000000{number}")
            client.put_item(TableName=table, Item={"pk": s("wh"), "undelivered": s("wh"), "sk": event_id})
        assert DeliveryCounts(client, table).undelivered("wh", limit=limit) == count
