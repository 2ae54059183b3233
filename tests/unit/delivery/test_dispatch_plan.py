"""What one invocation plans is bounded, whatever a channel holds, and every record is finished after a few."""

from __future__ import annotations

import gc
import tracemalloc
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, cast

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from posthorn.delivery import dispatch_plan
from posthorn.delivery.dispatch_plan import CHANNEL_LIMIT, PAGE, PLAN_LIMIT, DispatchPlan, DispatchPlanner
from posthorn.delivery.unsent_messages import UnsentMessages
from posthorn.domain.endpoint_kind import EndpointKind, PayloadFormat
from posthorn.domain.errors import Unavailable
from posthorn.domain.ids import EVENT, new_id
from posthorn.domain.models import DeliveryKey, Endpoint, Event, SealedSecret
from posthorn.stores import events
from posthorn.stores.endpoints import ChannelEndpoints
from posthorn.stores.overdue_deliveries import Progress

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

NOW_MS = 1_700_000_000_000
SETTLED = Progress(attempt=1, next_attempt_at=None)


@dataclass
class Tables:
    """Stands in for the endpoints of every channel and the rows of their deliveries."""

    sizes: dict[str, int]
    unreadable: dict[str, list[str]] = field(default_factory=dict)
    down: set[str] = field(default_factory=set)  # channels whose endpoints cannot be read
    rows: dict[DeliveryKey, Progress | None] = field(default_factory=dict)
    made: dict[str, list[Endpoint]] = field(default_factory=dict)
    looked_up: int = 0
    reads: Counter[str] = field(default_factory=Counter)

    def of_channel(self, channel: str) -> ChannelEndpoints:
        self.reads[channel] += 1
        if channel in self.down:
            raise Unavailable("query", "Down")
        if channel not in self.made:
            self.made[channel] = [_endpoint(channel, number) for number in range(self.sizes.get(channel, 0))]
        return ChannelEndpoints(self.made[channel], self.unreadable.get(channel, []))

    def look_up(
        self, keys: Sequence[DeliveryKey]
    ) -> tuple[dict[DeliveryKey, Progress | None], set[DeliveryKey]]:
        self.looked_up = max(self.looked_up, len(keys))
        return {key: self.rows[key] for key in keys if key in self.rows}, set()

    def plan(self, records: Iterable[dict[str, Any]], unsent: UnsentMessages | None = None) -> DispatchPlan:
        stores = cast("Any", self)
        planner = DispatchPlanner(stores, stores, unsent or UnsentMessages(), clock=lambda: NOW_MS)
        return planner.plan(records)


def _endpoint(channel: str, number: int) -> Endpoint:
    return Endpoint(
        id=f"wh_{channel}_{number:06}",
        channel=channel,
        workspace=channel,
        kind=EndpointKind.WEBHOOK,
        format=PayloadFormat.EVENT_JSON,
        url=f"https://h{number}.example.com/",
        events=("*",),
        secret=SealedSecret(b"sealed" * 30, 1),
        created_at=NOW_MS,
    )


def _records(*channels: str) -> list[dict[str, Any]]:
    """Return a stream record for an event of each of these channels, in this order."""
    made: list[dict[str, Any]] = []
    for number, channel in enumerate(channels):
        event = Event(
            id=new_id(EVENT, now_ms=NOW_MS, entropy=number.to_bytes(10)),
            channel=channel,
            workspace=channel,
            type="CONTACT_CREATED",
            data='{"n":1}',
            created_at="2023-11-14T22:13:20Z",
        )
        image = events.to_item(event, expires_at=0)
        stream = {"Keys": {}, "NewImage": image, "SequenceNumber": f"{number:021}"}
        made.append({"eventName": "INSERT", "dynamodb": stream})
    return made


def _run(tables: Tables, records: list[dict[str, Any]]) -> tuple[list[dict[str, Any]], DispatchPlan]:
    """Plan and do everything, and return the records that Lambda passes again: from the lowest failed one on."""
    plan = tables.plan(records)
    for planned in plan.attempts:
        assert planned.key not in tables.rows, "planned twice"
        tables.rows[planned.key] = SETTLED
    again = plan.failed | plan.postponed
    lowest = min(again, default=None)
    return [] if lowest is None else [
        record for record in records if record["dynamodb"]["SequenceNumber"] >= lowest
    ], plan


def test_a_burst_to_thousands_of_endpoints_takes_a_few_megabytes() -> None:
    """A hundred events to 2,800 endpoints are 280,000 deliveries; a plan holds a part of them."""
    tables, records = Tables({"big": 2_800}), _records(*["big"] * 100)
    gc.collect()
    tracemalloc.start()
    try:
        plan = tables.plan(records)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()

    assert CHANNEL_LIMIT <= len(plan.attempts) < CHANNEL_LIMIT + PAGE
    assert tables.looked_up <= PAGE
    assert peak < 20_000_000


def test_one_event_for_fifty_thousand_endpoints_is_finished() -> None:
    """Each run plans deliveries that have no row yet, until none is left."""
    tables, records = Tables({"big": 50_000}), _records("big")
    runs = 0

    while records:
        before = len(tables.rows)
        records, plan = _run(tables, records)
        runs += 1
        assert len(plan.attempts) < CHANNEL_LIMIT + PAGE
        assert len(tables.rows) > before or not records

    assert len(tables.rows) == 50_000
    assert runs <= 50_000 // CHANNEL_LIMIT + 1


def test_a_burst_of_one_channel_leaves_room_for_the_others() -> None:
    """Records of other channels behind a burst are planned in the same run."""
    tables = Tables({"big": 20_000, "small": 1})
    records = _records("big", "small", "big", "small")

    plan = tables.plan(records)

    planned = Counter(one.endpoint.channel for one in plan.attempts)
    assert planned["small"] == 2
    assert planned["big"] < CHANNEL_LIMIT + PAGE
    assert plan.postponed == {
        records[0]["dynamodb"]["SequenceNumber"],
        records[2]["dynamodb"]["SequenceNumber"],
    }


def test_many_large_channels_are_bounded_together() -> None:
    """With many bursts at once, the records from the first that does not fit on come again, unread."""
    channels = [f"c{number}" for number in range(100)]
    tables, records = Tables(dict.fromkeys(channels, 3_000)), _records(*channels)
    records[-1]["dynamodb"]["NewImage"] = {}  # a dead letter, but only once

    plan = tables.plan(records)

    assert PLAN_LIMIT <= len(plan.attempts) < PLAN_LIMIT + PAGE
    first = min(plan.postponed)
    assert plan.postponed == {
        one["dynamodb"]["SequenceNumber"] for one in records if one["dynamodb"]["SequenceNumber"] >= first
    }
    assert plan.unreadable == []
    assert len(tables.reads) < len(channels) / 2


def test_each_channel_is_read_once() -> None:
    """However the channels of a batch alternate, one query finds the endpoints of each."""
    channels = [f"c{number % 40}" for number in range(100)]
    tables = Tables(dict.fromkeys(channels, 1))

    plan = tables.plan(_records(*channels))

    assert len(plan.attempts) == 100
    assert set(tables.reads.values()) == {1}
    assert not plan.failed | plan.postponed


def test_a_channel_that_cannot_be_read_delays_no_other() -> None:
    """An outage of one query fails the records of its channel; the others are planned."""
    tables = Tables({"fine": 2}, down={"broken"})
    records = _records("broken", "fine")

    plan = tables.plan(records)

    assert plan.failed == {records[0]["dynamodb"]["SequenceNumber"]}
    assert len(plan.attempts) == 2


@pytest.mark.parametrize(
    ("row", "is_overdue"),
    [
        (Progress(attempt=0, next_attempt_at=NOW_MS - dispatch_plan.LOST_MS - 1), True),
        (Progress(attempt=1, next_attempt_at=NOW_MS - dispatch_plan.LOST_MS - 1), True),
        (Progress(attempt=1, next_attempt_at=NOW_MS - dispatch_plan.LOST_MS), False),
        (Progress(attempt=1, next_attempt_at=NOW_MS + 60_000), False),
        (Progress(attempt=2, next_attempt_at=NOW_MS - dispatch_plan.LOST_MS - 1), False),  # a worker's
        (SETTLED, False),
        (None, False),  # unreadable
    ],
)
def test_only_overdue_rows_need_a_message(row: Progress | None, is_overdue: bool) -> None:
    """A row needs nothing from dispatch until its own message must be lost."""
    tables = Tables({"a": 1})
    records = _records("a")
    (planned,) = tables.plan(records).attempts
    tables.rows[planned.key] = row

    plan = tables.plan(records)

    assert plan.attempts == []
    assert [one.key for one in plan.overdue] == [planned.key] * is_overdue
    assert not plan.failed | plan.postponed


@settings(max_examples=50)
@given(
    st.lists(st.sampled_from("abc"), max_size=12),
    st.fixed_dictionaries(dict.fromkeys("abc", st.integers(0, 40))),
    st.integers(1, 20),
    st.integers(1, 8),
)
def test_every_delivery_is_planned_exactly_once(
    channels: list[str], sizes: dict[str, int], limit: int, page: int
) -> None:
    """Whatever the limits, runs until no record comes again plan every event × endpoint once, and each run some."""
    tables, records = Tables(sizes), _records(*channels)
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(dispatch_plan, "PLAN_LIMIT", limit)
        patched.setattr(dispatch_plan, "CHANNEL_LIMIT", max(1, limit // 2))
        patched.setattr(dispatch_plan, "PAGE", page)
        while records:
            before = len(tables.rows)
            records, plan = _run(tables, records)
            assert len(plan.attempts) < limit + page
            assert len(tables.rows) > before or not records

    assert len(tables.rows) == sum(sizes[channel] for channel in channels)
