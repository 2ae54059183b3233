"""An endpoint that hangs forever, and its effect on the others, in virtual time."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from posthorn.domain.clock import rfc3339
from posthorn.domain.ids import EVENT
from posthorn.domain.models import Event, Health
from posthorn.stores.events import to_item
from posthorn.transport.http import MAX_IN_FLIGHT
from posthorn.wiring import delivery as wiring
from tests.integration.test_health import endpoint_of
from tests.moto_account import listening
from tests.network import TimedNetwork

if TYPE_CHECKING:
    from posthorn.delivery.dispatcher import Dispatcher
    from tests.installation import Installation

HEALTHY = {"quick.example.com": 40, "steady.example.com": 250}
HANGS = "hangs.example.com"
EVERY_MS = 10  # between two events
BATCH = 100
INVOCATION_MS = 60_000


def _published(posthorn: Installation, count: int) -> list[tuple[int, dict[str, Any]]]:
    """Return that many stream records, each with the time at which its event is published, from now on."""
    found = []
    start = posthorn.clock()
    for number in range(count):
        posthorn.clock.now_ms = start + number * EVERY_MS
        event = Event(
            id=posthorn.services.new_id(EVENT),
            channel=posthorn.workspace,
            workspace=posthorn.workspace,
            type="CONTACT_CREATED",
            data="{}",
            created_at=rfc3339(posthorn.clock()),
        )
        found.append((posthorn.clock(), posthorn.record(to_item(event, expires_at=0))))
    posthorn.clock.now_ms = start
    return found


def _dispatch_all(
    posthorn: Installation, dispatcher: Dispatcher, published: list[tuple[int, dict[str, Any]]]
) -> dict[str, int]:
    """Run invocations one after the other over the records so far; return publish times by event id.

    All events are on one lane, which is the worst case: nothing runs beside an invocation that is held up.
    """
    waiting, clock = list(published), posthorn.clock
    while waiting:
        clock.now_ms = max(clock.now_ms, waiting[0][0])
        batch = [pair for pair in waiting[:BATCH] if pair[0] <= clock.now_ms]
        waiting = waiting[len(batch) :]
        assert _invoke(posthorn, dispatcher, [record for _, record in batch]) == set()
    return {record["dynamodb"]["Keys"]["sk"]["S"]: moment for moment, record in published}


def _invoke(posthorn: Installation, dispatcher: Dispatcher, records: list[dict[str, Any]]) -> set[str]:
    until = posthorn.clock() + INVOCATION_MS
    return dispatcher.dispatch(records, remaining_ms=lambda: until - posthorn.clock())


def _p99(posthorn: Installation, *, hanging: bool, events: int) -> int:
    """Return the 99th percentile of the time from publishing to the first attempt at healthy endpoints."""
    network = TimedNetwork(posthorn.clock, {**HEALTHY, HANGS: 3_600_000})
    dispatcher = wiring.dispatcher(posthorn.settings, network=network, clock=posthorn.clock)
    hanging_id = ""
    if hanging:
        hanging_id = posthorn.register(HANGS)["id"]
        # the endpoint turns slow once; events at that moment wait for one deadline
        before = posthorn.clock()
        _dispatch_all(posthorn, dispatcher, _published(posthorn, 3))
        assert posthorn.clock() - before <= posthorn.settings.attempt_deadline * 1000 * 2
        assert endpoint_of(posthorn, hanging_id).health is Health.SLOW
        posthorn.take("DeliverQueue")
        network.received.clear()

    published_at = _dispatch_all(posthorn, dispatcher, _published(posthorn, events))

    if hanging:
        assert network.at(HANGS) == []
        groups = [message.group for message in posthorn.waiting("DeliverQueue")]
        assert groups == [hanging_id] * events
    waits = sorted(
        received.at - published_at[received.id] for host in HEALTHY for received in network.at(host)
    )
    assert len(waits) == events * len(HEALTHY)
    return waits[len(waits) * 99 // 100]


def test_a_hanging_endpoint_with_a_thousand_events_does_not_slow_the_others_down(
    posthorn: Installation,
) -> None:
    """The others' 99th percentile to the first attempt is at most twice that without the hanging endpoint."""
    for host in HEALTHY:
        posthorn.register(host)

    alone = _p99(posthorn, hanging=False, events=1_000)
    beside = _p99(posthorn, hanging=True, events=1_000)

    assert 0 < alone <= 1000
    assert beside <= 2 * alone


def test_an_endpoint_that_shows_that_it_hangs_is_left_alone_from_then_on(posthorn: Installation) -> None:
    """Once the first attempt times out, attempts that have not started in that invocation are queued.

    Two hundred attempts with the same outcome cost two writes: slow, then failing.
    """
    hanging_id = posthorn.register(HANGS)["id"]
    network = TimedNetwork(posthorn.clock, {HANGS: 3_600_000})
    dispatcher = wiring.dispatcher(posthorn.settings, network=network, clock=posthorn.clock)
    records = [record for _, record in _published(posthorn, MAX_IN_FLIGHT + 50)]
    start, writes, table = posthorn.clock(), list[str](), posthorn.tables["ConfigTable"]

    def note(params: dict[str, Any], **_: object) -> None:
        if params["TableName"] == table:
            writes.append("health")

    with listening("dynamodb", "before-parameter-build.dynamodb.UpdateItem", note):
        failed = _invoke(posthorn, dispatcher, records)

    assert failed == set()
    assert writes == ["health"] * 2
    assert len(network.at(HANGS)) == MAX_IN_FLIGHT
    assert posthorn.clock() - start == posthorn.settings.attempt_deadline * 1000
    assert [message.group for message in posthorn.waiting("DeliverQueue")] == [hanging_id] * 50
