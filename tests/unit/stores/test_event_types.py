"""A workspace's event types in moto: the limit is exact whatever happens at once."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final
from unittest import mock

import boto3
import pytest
from botocore.client import BaseClient
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from moto import mock_aws

from posthorn.domain.event_types import EventType
from posthorn.stores import event_types, slots
from posthorn.stores.event_types import EventTypes
from posthorn.stores.items import s
from tests.aws import create_tables
from tests.strict_dynamodb import strict

if TYPE_CHECKING:
    from collections.abc import Iterator

LIMIT: Final = 4
WORKSPACE: Final = "workspace"
NAMES: Final = [f"TYPE_{number}" for number in range(6)]


class Store(EventTypes):
    """The store, and what its table holds."""

    def __init__(self) -> None:
        super().__init__(boto3.client("dynamodb"), create_tables(boto3.client("dynamodb"))["ConfigTable"])

    def rows(self, prefix: str) -> set[str]:
        found = self._table.query_prefix(WORKSPACE, prefix, ConsistentRead=True).rows
        return {row["sk"]["S"].removeprefix(prefix) for row in found}

    def clear(self) -> None:
        for row in self._table.client.scan(TableName=self._table.name)["Items"]:
            self._table.client.delete_item(
                TableName=self._table.name, Key={"pk": row["pk"], "sk": s(row["sk"]["S"])}
            )


@pytest.fixture(scope="module")
def store() -> Iterator[Store]:
    with (
        mock_aws(),
        strict(),
        mock.patch.object(event_types, "MAX_OWN", LIMIT),
        # everyone tries the same slot, the worst case
        mock.patch.object(slots, "_RANDOM", mock.Mock(choice=min)),
    ):
        yield Store()


def created(name: str) -> EventType:
    return EventType(name=name, description="A thing.", example={}, created_at=1, made_by=f"et_{name}")


@contextmanager
def meanwhile(pauses: list[int], others: list[Any]) -> Iterator[None]:
    """Run other requests from beginning to end before a transaction; `pauses` says how many before each."""
    plain = BaseClient._make_api_call  # type: ignore[attr-defined]  # not in the stubs

    def call(self: BaseClient, name: str, parameters: Any) -> Any:
        for _ in range(pauses.pop(0) if name == "TransactWriteItems" and pauses else 0):
            if others:
                others.pop(0)()
        return plain(self, name, parameters)

    with mock.patch.object(BaseClient, "_make_api_call", call):
        yield


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=20)
@given(
    before=st.integers(0, LIMIT),
    creating=st.lists(st.sampled_from(NAMES), min_size=1, max_size=5),
    pauses=st.lists(st.integers(0, 2), max_size=12),
)
def test_writers_at_the_limit_fill_it_exactly(
    store: Store, before: int, creating: list[str], pauses: list[int]
) -> None:
    """However requests overlap, as many types are created as there is room for, and each name once."""
    store.clear()
    there = [f"OLD_{number}" for number in range(before)]
    assert all(store.create(WORKSPACE, created(name)) for name in there)
    results: dict[int, bool] = {}

    def create(number: int) -> None:
        results[number] = store.create(WORKSPACE, created(creating[number]))

    others: list[Any] = [lambda number=number: create(number) for number in range(len(creating))]
    with meanwhile(pauses, others):
        while others:
            others.pop(0)()

    room = min(LIMIT - before, len(set(creating)))
    assert sum(results.values()) == room
    assert len(store.rows("event-type#")) == before + room
    assert len(store.rows("event-type-slot#")) == before + room


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=20)
@given(
    steps=st.lists(st.tuples(st.booleans(), st.sampled_from(NAMES)), min_size=1, max_size=5),
    pauses=st.lists(st.integers(0, 2), max_size=12),
)
def test_every_type_has_one_slot_whatever_is_deleted(
    store: Store, steps: list[tuple[bool, str]], pauses: list[int]
) -> None:
    """Creating and deleting at once neither leaks a slot nor frees one that is in use."""
    store.clear()
    for name in NAMES[:3]:
        store.create(WORKSPACE, created(name))

    def step(*, creates: bool, name: str) -> None:
        if creates:
            store.create(WORKSPACE, created(name))
        else:
            store.delete(WORKSPACE, name)

    others: list[Any] = [lambda one=one: step(creates=one[0], name=one[1]) for one in steps]
    with meanwhile(pauses, others):
        while others:
            others.pop(0)()

    types = store.rows("event-type#")
    assert len(types) <= LIMIT
    assert len(store.rows("event-type-slot#")) == len(types)


def test_a_type_that_was_created_again_meanwhile_leaves_no_slot(store: Store) -> None:
    """A deletion frees the slot that the type has by now, and not the one that it had, which another type took."""
    store.clear()
    store.create(WORKSPACE, created("TYPE_0"))
    others: list[Any] = [
        lambda: store.delete(WORKSPACE, "TYPE_0"),
        lambda: store.create(WORKSPACE, created("TYPE_1")),
        lambda: store.create(WORKSPACE, created("TYPE_0")),
    ]
    with meanwhile([3], others):
        assert store.delete(WORKSPACE, "TYPE_0")
    assert store.rows("event-type#") == {"TYPE_1"}
    assert store.rows("event-type-slot#") == {"0"}


def test_a_deleted_type_makes_room(store: Store) -> None:
    """A full workspace takes another type once one is deleted, and deleting what is not there does nothing."""
    store.clear()
    for number in range(LIMIT):
        assert store.create(WORKSPACE, created(f"OLD_{number}"))
    assert not store.create(WORKSPACE, created("NEW"))
    assert not store.delete(WORKSPACE, "NEW")
    assert store.delete(WORKSPACE, "OLD_1")
    assert store.create(WORKSPACE, created("NEW"))
    assert store.rows("event-type-slot#") == {str(number) for number in range(LIMIT)}
