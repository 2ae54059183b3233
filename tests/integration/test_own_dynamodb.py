"""`POSTHORN_TEST_DYNAMODB` lets the integration tests use another DynamoDB than moto's."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING
from unittest import mock

import boto3
import pytest
from moto.dynamodb.models import dynamodb_backends

from posthorn.domain.models import DeliveryKey, Status
from tests.dynamodb_server import running_server
from tests.installation import running
from tests.network import answers
from tests.template import ACCOUNT, REGION

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mypy_boto3_dynamodb import DynamoDBClient


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    """Start a second moto in a process of its own, in place of a DynamoDB Local."""
    with running_server() as url:
        yield url


@pytest.fixture
def dynamodb(url: str) -> DynamoDBClient:
    return boto3.client(
        "dynamodb",
        endpoint_url=url,
        region_name=REGION,
        aws_access_key_id="testing",
        aws_secret_access_key="testing",
    )


def test_an_installation_has_its_tables_there(url: str, dynamodb: DynamoDBClient) -> None:
    """An event is published, dispatched and found again, and moto's own DynamoDB has no table."""
    with mock.patch.dict(os.environ, {"POSTHORN_TEST_DYNAMODB": url}):
        with running() as posthorn:
            webhook = posthorn.register()
            posthorn.network.receivers["hooks.example.com"] = answers(200)
            event_id = posthorn.publish()
            assert posthorn.dispatch() == set()
            row = posthorn.row(DeliveryKey(webhook["id"], event_id))

            assert row is not None
            assert row.status is Status.DELIVERED
            assert event_id in posthorn.everything_stored()
            assert sorted(dynamodb.list_tables()["TableNames"]) == sorted(posthorn.tables.values())
            assert dynamodb_backends[ACCOUNT][REGION].tables == {}
            for name in posthorn.tables.values():
                shown = dynamodb.describe_time_to_live(TableName=name)["TimeToLiveDescription"]
                assert shown["TimeToLiveStatus"] == "DISABLED"  # the tests' clock stands in the past
        assert dynamodb.list_tables()["TableNames"] == []


def test_each_installation_starts_empty(url: str) -> None:
    """Also after one that left tables behind."""
    with mock.patch.dict(os.environ, {"POSTHORN_TEST_DYNAMODB": url}):
        with running() as posthorn:
            posthorn.register()
            tables = posthorn.tables
            left = boto3.client("dynamodb", endpoint_url=url)
        left.create_table(
            TableName=tables["ConfigTable"],
            KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}],
            AttributeDefinitions=[{"AttributeName": "pk", "AttributeType": "S"}],
            BillingMode="PAY_PER_REQUEST",
        )
        with running() as posthorn:
            assert posthorn.call("GET", "/v1/webhooks").body["webhooks"] == []


def test_without_it_everything_is_in_moto(dynamodb: DynamoDBClient) -> None:
    """The next test is in moto again."""
    with running() as posthorn:
        posthorn.register()
        assert set(posthorn.tables.values()) <= dynamodb_backends[ACCOUNT][REGION].tables.keys()
        assert dynamodb.list_tables()["TableNames"] == []
