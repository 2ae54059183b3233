"""A table in moto: conditional writes, our own writes found again, and pages."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any
from unittest import mock

import boto3
import pytest
from botocore.client import BaseClient
from moto import mock_aws

from posthorn.domain.errors import ConditionFailed, Unavailable
from posthorn.stores import items
from posthorn.stores.items import n, s
from posthorn.stores.table import NEW, Table
from tests.aws import create_tables
from tests.strict_dynamodb import strict

if TYPE_CHECKING:
    from collections.abc import Iterator

    from posthorn.stores.items import Item

KEY = {"pk": s("workspace"), "sk": s("thing#1")}


@pytest.fixture
def table() -> Iterator[Table]:
    with mock_aws(), strict():
        client = boto3.client("dynamodb")
        yield Table(client, create_tables(client)["ConfigTable"])


@contextmanager
def lost_response(operation: str) -> Iterator[None]:
    """Carry an operation out twice, like botocore after a response that got lost."""
    once = BaseClient._make_api_call  # type: ignore[attr-defined]  # not in the stubs

    def twice(self: BaseClient, name: str, parameters: Any) -> Any:
        if name == operation:
            once(self, name, parameters)
        return once(self, name, parameters)

    with mock.patch.object(BaseClient, "_make_api_call", twice):
        yield


def thing(value: int, number: int = 1) -> Item:
    return {"pk": s("workspace"), "sk": s(f"thing#{number}"), "value": n(value)}


def value_of(table: Table) -> int | None:
    row = table.get(KEY)
    return None if row is None else items.number(row, "value")


def has(value: int) -> Any:
    return lambda found: items.number(found, "value") == value


# ---- Conditional writes ----------------------------------------------------------------------------------


def test_a_row_is_put_on_a_condition(table: Table) -> None:
    """The first put takes effect; the second fails on the condition and changes nothing."""
    assert table.put(thing(1), condition=NEW)
    assert not table.put(thing(2), condition=NEW)
    assert not table.put(thing(2), condition=NEW, is_ours=has(2))
    assert value_of(table) == 1


def test_our_own_row_is_recognized_after_a_lost_response(table: Table) -> None:
    """The condition fails on the row that the first try wrote, and that is success."""
    with lost_response("PutItem"):
        assert table.put(thing(1), condition=NEW, is_ours=has(1))


def test_a_row_that_is_gone_is_not_ours(table: Table) -> None:
    """A condition that finds no row fails, and `is_ours` is not asked."""
    options = {"ExpressionAttributeValues": {":old": n(1)}}
    assert not table.put(thing(2), condition="#v = :old", is_ours=has(2), **_names(options))
    assert value_of(table) is None


def test_a_row_is_updated_on_a_condition(table: Table) -> None:
    """The update takes effect once, and its repetition is recognized."""
    table.put(thing(1), condition=NEW)
    options = _names({"ExpressionAttributeValues": {":old": n(1), ":new": n(2)}})

    with lost_response("UpdateItem"):
        assert table.update(KEY, "SET #v = :new", condition="#v = :old", is_ours=has(2), **options)

    assert value_of(table) == 2
    assert not table.update(KEY, "SET #v = :new", condition="#v = :old", is_ours=has(3), **options)
    assert not table.update(KEY, "SET #v = :new", condition="#v = :old", **options)


def test_an_outage_is_not_a_failed_condition(table: Table) -> None:
    """A write whose effect is unknown raises."""
    nowhere = Table(table.client, "no-such-table")
    with pytest.raises(Unavailable):
        nowhere.put(thing(1), condition=NEW, is_ours=has(1))
    with pytest.raises(Unavailable):
        nowhere.transact({"Put": {"TableName": "no-such-table", "Item": thing(1)}})


def test_the_first_row_wins(table: Table) -> None:
    """Whoever puts or finds gets the row that is in the table."""
    assert table.put_or_find(thing(1), condition=NEW) == thing(1)
    assert table.put_or_find(thing(2), condition=NEW) == thing(1)
    assert value_of(table) == 1


def test_a_condition_that_finds_no_row_has_no_winner(table: Table) -> None:
    """Neither this row nor another one is in the table then."""
    with pytest.raises(ConditionFailed):
        table.put_or_find(thing(1), condition="attribute_exists(pk)")


def test_a_transaction_writes_all_or_nothing(table: Table) -> None:
    """One failed condition keeps every row out."""
    put = [
        {"Put": {"TableName": table.name, "Item": thing(1, one), "ConditionExpression": NEW}}
        for one in (1, 2)
    ]
    assert table.transact(put[0])
    assert not table.transact(put[1], put[0])
    assert table.get({"pk": s("workspace"), "sk": s("thing#2")}) is None


@pytest.mark.parametrize(("looked_for", "is_done"), [(1, True), (2, False)])
def test_our_own_transaction_is_recognized(table: Table, looked_for: int, is_done: bool) -> None:
    """The row that the failed condition found is compared with what was written."""
    put: dict[str, Any] = {"TableName": table.name, "Item": thing(1), "ConditionExpression": NEW}
    table.transact({"Put": put})
    put["ReturnValuesOnConditionCheckFailure"] = "ALL_OLD"
    assert table.transact({"Put": put}, is_ours=has(looked_for)) is is_done


# ---- Pages -----------------------------------------------------------------------------------------------


@pytest.fixture
def things(table: Table) -> Table:
    """Put nine things beside others whose sort keys come before and after."""
    for number in range(1, 10):
        table.put(thing(number, number), condition=NEW)
    for other in ("thing", "things#1", "other#1"):
        table.put({"pk": s("workspace"), "sk": s(other)}, condition=NEW)
    table.put({"pk": s("another"), "sk": s("thing#1")}, condition=NEW)
    return table


@pytest.mark.parametrize("limit", [1, 2, 4, 9, 100])
@pytest.mark.parametrize("forward", [True, False])
def test_pages_together_are_all_rows_with_the_prefix(things: Table, limit: int, forward: bool) -> None:
    """Each row is on exactly one page, in order, and no page is larger than asked for."""
    found: list[int] = []
    after: str | None = None
    for _ in range(10):
        page = things.query_prefix(
            "workspace", "thing#", after=after, limit=limit, ConsistentRead=True, ScanIndexForward=forward
        )
        assert len(page.rows) <= limit
        found += [items.number(row, "value") for row in page.rows]
        after = page.position(prefix="thing#")
        if after is None:
            break
    assert found == sorted(range(1, 10), reverse=not forward)


def test_a_position_is_the_last_key_without_its_prefix(things: Table) -> None:
    """A cursor holds no more than what is needed to build the key again."""
    page = things.query_prefix("workspace", "thing#", limit=3)
    assert page.last == {"pk": s("workspace"), "sk": s("thing#3")}
    assert (page.position(prefix="thing#"), page.position("pk")) == ("3", "workspace")


def test_a_query_without_a_limit_reads_everything(things: Table) -> None:
    """The last page has no position."""
    page = things.query_prefix("workspace", "thing#")
    assert (len(page.rows), page.last, page.position()) == (9, None, None)


def _names(options: dict[str, Any]) -> dict[str, Any]:
    return {"ExpressionAttributeNames": {"#v": "value"}, **options}
