"""The tests' DynamoDB refuses what AWS's refuses, and answers as AWS's does."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING, Any, Final

import boto3
import pytest
from botocore.exceptions import ClientError
from moto import mock_aws

from posthorn.stores.items import n, s
from tests.aws import create_tables
from tests.strict_dynamodb import strict

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mypy_boto3_dynamodb import DynamoDBClient

COUNT: Final = 12
SHARD: Final = {"due_shard": s("1")}
CONDITION: Final = "pk = :pk AND sk BETWEEN :low AND :high"
BOUNDS: Final = {":pk": s("a"), ":low": s("04"), ":high": s("09")}
DUE: Final = {
    "IndexName": "due",
    "KeyConditionExpression": "due_shard = :shard AND next_attempt_at < :before",
    "ExpressionAttributeValues": {":shard": s("1"), ":before": n(6)},
}


def row(number: int) -> dict[str, Any]:
    return {
        "pk": s("a"),
        "sk": s(f"{number:02}"),
        "status": s("failed"),
        "next_attempt_at": n(number),
        **SHARD,
    }


class Dynamo:
    """A table with twelve rows in one partition."""

    def __init__(self) -> None:
        self.client: DynamoDBClient = boto3.client("dynamodb")
        self.table = create_tables(self.client)["DeliveriesTable"]
        for number in range(COUNT):
            self.client.put_item(TableName=self.table, Item=row(number))

    def query(self, **options: Any) -> Any:
        wanted: dict[str, Any] = {
            "KeyConditionExpression": "pk = :pk",
            "ExpressionAttributeValues": {":pk": s("a")},
            **options,
        }
        return self.client.query(TableName=self.table, **wanted)

    def transact(self, token: str, change: int) -> None:
        update: Any = {
            "TableName": self.table,
            "Key": {"pk": s("counted"), "sk": s("0")},
            "UpdateExpression": "ADD things :change",
            "ExpressionAttributeValues": {":change": n(change)},
        }
        self.client.transact_write_items(TransactItems=[{"Update": update}], ClientRequestToken=token)


@pytest.fixture(scope="module")
def dynamo() -> Iterator[Dynamo]:
    with mock_aws(), strict():
        yield Dynamo()


def refused(error: pytest.ExceptionInfo[ClientError]) -> str:
    return error.value.response["Error"]["Code"]


# ---- Pages


@pytest.mark.parametrize("forward", [True, False])
@pytest.mark.parametrize("limit", [COUNT // 2, COUNT, COUNT + 1])
def test_a_limit_that_stops_a_query_leaves_a_start_key(dynamo: Dynamo, limit: int, *, forward: bool) -> None:
    """Also behind the last row, where an empty page follows; a query that ended by itself has none."""
    found: list[Any] = []
    options: dict[str, Any] = {}
    pages = 0
    while True:
        page = dynamo.query(Limit=limit, ScanIndexForward=forward, **options)
        found += page["Items"]
        pages += 1
        if "LastEvaluatedKey" not in page:
            break
        options["ExclusiveStartKey"] = page["LastEvaluatedKey"]
    assert found == sorted(map(row, range(COUNT)), key=lambda one: one["sk"]["S"], reverse=not forward)
    assert pages == COUNT // limit + 1


def test_a_limit_counts_what_is_filtered_out(dynamo: Dynamo) -> None:
    """The start key is that of the last row read, whatever filter and projection leave of it."""
    page = dynamo.query(
        Limit=6,
        KeyConditionExpression=CONDITION,
        FilterExpression="next_attempt_at < :most",
        ProjectionExpression="next_attempt_at",
        ExpressionAttributeValues={**BOUNDS, ":most": n(6)},
    )
    assert page["Items"] == [{"next_attempt_at": n(4)}, {"next_attempt_at": n(5)}]
    assert page["LastEvaluatedKey"] == {"pk": s("a"), "sk": s("09")}


def test_the_start_key_of_an_index_has_its_attributes_too(dynamo: Dynamo) -> None:
    """It holds the key of the table and that of the index."""
    page = dynamo.query(**DUE, Limit=6)
    assert page["LastEvaluatedKey"] == {"pk": s("a"), "sk": s("05"), "next_attempt_at": n(5), **SHARD}
    assert dynamo.query(**DUE, ExclusiveStartKey=page["LastEvaluatedKey"])["Items"] == []


def test_a_limit_that_stops_a_scan_leaves_a_start_key(dynamo: Dynamo) -> None:
    """A scan stops as a query does."""
    every = dynamo.client.scan(TableName=dynamo.table)["Count"]
    assert "LastEvaluatedKey" in dynamo.client.scan(TableName=dynamo.table, Limit=every)
    assert "LastEvaluatedKey" not in dynamo.client.scan(TableName=dynamo.table, Limit=every + 1)


@pytest.mark.parametrize(
    "start",
    [
        {"pk": s("a"), "sk": s("03")},
        {"pk": s("a"), "sk": s("10")},
        {"pk": s("b"), "sk": s("05")},
        {"pk": s("a")},
        {"pk": s("a"), "sk": s("05"), "next_attempt_at": n(5)},
    ],
)
def test_a_start_key_outside_the_condition_is_refused(dynamo: Dynamo, start: Any) -> None:
    """A start key comes from the same query, so it has the same partition, range and attributes."""
    asked: Any = {"KeyConditionExpression": CONDITION, "ExpressionAttributeValues": BOUNDS}
    assert dynamo.query(**asked, ExclusiveStartKey={"pk": s("a"), "sk": s("07")})["Count"] == 2
    with pytest.raises(ClientError) as error:
        dynamo.query(**asked, ExclusiveStartKey=start)
    assert refused(error) == "ValidationException"


@pytest.mark.parametrize(
    "key", [{"next_attempt_at": n(6)}, {"due_shard": s("2")}, {"next_attempt_at": None}], ids=repr
)
def test_a_start_key_outside_the_condition_of_an_index_is_refused(dynamo: Dynamo, key: Any) -> None:
    """The same for the attributes of an index."""
    start = {"pk": s("a"), "sk": s("05"), "next_attempt_at": n(5), **SHARD, **key}
    with pytest.raises(ClientError) as error:
        dynamo.query(**DUE, ExclusiveStartKey={name: value for name, value in start.items() if value})
    assert refused(error) == "ValidationException"


# ---- Order


def test_rows_come_in_no_order(dynamo: Dynamo) -> None:
    """Neither a batch nor a scan returns rows in the order of their keys; a second one has the same order."""
    keys = [{"pk": s("a"), "sk": s(f"{number:02}")} for number in range(COUNT)]
    for _ in range(2):
        batch = dynamo.client.batch_get_item(RequestItems={dynamo.table: {"Keys": keys}})
        rows: list[Any] = batch["Responses"][dynamo.table]
        scanned: list[Any] = dynamo.client.scan(
            TableName=dynamo.table, FilterExpression="pk = :pk", ExpressionAttributeValues={":pk": s("a")}
        )["Items"]
        in_order = list(map(row, range(COUNT)))
        assert rows != in_order
        assert scanned != in_order
        assert sorted(rows, key=repr) == sorted(scanned, key=repr) == sorted(in_order, key=repr)
        assert rows == scanned


# ---- Batches


@pytest.mark.parametrize("count", [26, 30])
def test_a_batch_of_more_than_25_writes_is_refused(dynamo: Dynamo, count: int) -> None:
    """25 are written."""
    _write(dynamo, range(25))
    with pytest.raises(ClientError) as error:
        _write(dynamo, range(count))
    assert refused(error) == "ValidationException"


def test_a_batch_with_a_row_twice_is_refused(dynamo: Dynamo) -> None:
    """Two writes of one row are refused even if they differ."""
    rows: list[Any] = [{"pk": s("batch"), "sk": s("1"), "n": n(number)} for number in range(2)]
    with pytest.raises(ClientError) as error:
        dynamo.client.batch_write_item(
            RequestItems={dynamo.table: [{"PutRequest": {"Item": one}} for one in rows]}
        )
    assert refused(error) == "ValidationException"
    with pytest.raises(ClientError) as error:
        dynamo.client.batch_write_item(
            RequestItems={
                dynamo.table: [
                    {"PutRequest": {"Item": rows[0]}},
                    {"DeleteRequest": {"Key": {"pk": s("batch"), "sk": s("1")}}},
                ]
            }
        )
    assert refused(error) == "ValidationException"


@pytest.mark.parametrize("numbers", [[*range(101)], [1, 2, 1]], ids=["101", "twice"])
def test_a_batch_of_reads_has_the_same_rules(dynamo: Dynamo, numbers: list[int]) -> None:
    """At most 100 keys, and none of them twice; moto refuses these itself."""
    keys: Any = [{"pk": s("a"), "sk": s(f"{number:02}")} for number in numbers]
    with pytest.raises(ClientError) as error:
        dynamo.client.batch_get_item(RequestItems={dynamo.table: {"Keys": keys}})
    assert refused(error) == "ValidationException"


def _write(dynamo: Dynamo, numbers: range) -> None:
    rows: list[Any] = [
        {"PutRequest": {"Item": {"pk": s("batch"), "sk": s(f"{number}")}}} for number in numbers
    ]
    dynamo.client.batch_write_item(RequestItems={dynamo.table: rows})


# ---- Expressions


@pytest.mark.parametrize(("low", "high"), [(s("09"), s("04")), (s("é"), s("z"))])
def test_reversed_bounds_are_refused(dynamo: Dynamo, low: Any, high: Any) -> None:
    """The order is that of the UTF-8 bytes; equal bounds are taken."""
    same = dynamo.query(
        KeyConditionExpression=CONDITION, ExpressionAttributeValues={**BOUNDS, ":high": s("04")}
    )
    assert same["Count"] == 1
    with pytest.raises(ClientError) as error:
        dynamo.query(
            KeyConditionExpression=CONDITION,
            ExpressionAttributeValues={":pk": s("a"), ":low": low, ":high": high},
        )
    assert refused(error) == "ValidationException"


def test_reversed_bounds_of_numbers_are_refused(dynamo: Dynamo) -> None:
    """Numbers are compared as numbers, in any expression."""
    within: Any = {"FilterExpression": "next_attempt_at BETWEEN :low AND :high"}
    values = {":pk": s("a"), ":low": n(9), ":high": n(10)}
    assert dynamo.query(**within, ExpressionAttributeValues=values)["Count"] == 2
    with pytest.raises(ClientError) as error:
        dynamo.query(**within, ExpressionAttributeValues={**values, ":low": n(11)})
    assert refused(error) == "ValidationException"


@pytest.mark.parametrize(
    "unused",
    [
        {"ExpressionAttributeValues": {":pk": s("a"), ":spare": s("b")}},
        {"ExpressionAttributeNames": {"#spare": "status"}},
    ],
)
def test_unused_placeholders_of_a_query_are_refused(dynamo: Dynamo, unused: Any) -> None:
    """Each name and value must be used."""
    with pytest.raises(ClientError) as error:
        dynamo.query(**unused)
    assert refused(error) == "ValidationException"


@pytest.mark.parametrize(
    "unused",
    [
        {"ExpressionAttributeValues": {":new": s("b"), ":spare": s("b")}},
        {"ExpressionAttributeNames": {"#spare": "x"}},
    ],
)
def test_unused_placeholders_of_a_transaction_are_refused(dynamo: Dynamo, unused: Any) -> None:
    """The same for each write of a transaction, where moto lets values pass."""
    update: Any = {
        "TableName": dynamo.table,
        "Key": {"pk": s("other"), "sk": s("0")},
        "UpdateExpression": "SET data_ = :new",
        "ExpressionAttributeValues": {":new": s("b")},
        **unused,
    }
    with pytest.raises(ClientError) as error:
        dynamo.client.transact_write_items(TransactItems=[{"Update": update}])
    assert refused(error) == "ValidationException"


# ---- Keys and tokens


@pytest.mark.parametrize(("pk", "sk"), [("a" * 2049, "a"), ("é" * 1025, "a"), ("a", "a" * 1025)])
def test_long_keys_are_refused(dynamo: Dynamo, pk: str, sk: str) -> None:
    """A partition key has at most 2,048 bytes and a sort key 1,024, in reads and in writes."""
    key: Any = {"pk": s(pk), "sk": s(sk)}
    table, client = dynamo.table, dynamo.client
    for ask in (
        lambda: client.get_item(TableName=table, Key=key),
        lambda: client.put_item(TableName=table, Item=key),
        lambda: client.delete_item(TableName=table, Key=key),
        lambda: client.batch_get_item(RequestItems={table: {"Keys": [key]}}),
        lambda: client.batch_write_item(RequestItems={table: [{"PutRequest": {"Item": key}}]}),
        lambda: client.transact_write_items(TransactItems=[{"Put": {"TableName": table, "Item": key}}]),
    ):
        with pytest.raises(ClientError) as error:
            ask()
        assert refused(error) == "ValidationException"
    longest: Any = {"pk": s("a" * 2048), "sk": s("a" * 1024)}
    assert "Item" not in client.get_item(TableName=table, Key=longest)


def test_a_transaction_is_applied_once_for_each_token(dynamo: Dynamo) -> None:
    """A repetition changes nothing; another request under the same token is refused."""
    token, other = str(uuid.uuid4()), str(uuid.uuid4())
    for _ in range(3):
        dynamo.transact(token, 1)
    dynamo.transact(other, 1)
    with pytest.raises(ClientError) as error:
        dynamo.transact(token, 5)
    counted = dynamo.client.get_item(TableName=dynamo.table, Key={"pk": s("counted"), "sk": s("0")})
    assert refused(error) == "IdempotentParameterMismatchException"
    assert counted["Item"]["things"] == n(2)
