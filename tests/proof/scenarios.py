"""Scenarios in which an invocation can die: the preparation, and the invocation itself."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from posthorn.delivery.dispatch_plan import LOST_MS
from posthorn.domain.models import Status
from posthorn.stores import events
from tests.later_versions import unreadable
from tests.proof import customers, recovery
from tests.proof.event_sources import DELIVER_QUEUES, FEEDBACK_QUEUE, REPLAY_QUEUE
from tests.proof.receivers import Mood
from tests.proof.world import HOSTS, SWEEP_SECONDS, Way, World, host

if TYPE_CHECKING:
    from collections.abc import Callable

    from posthorn.domain.models import Endpoint


@dataclass(frozen=True)
class Scenario:
    """`prepare` sets up the world; `act` runs the one invocation that may die."""

    name: str
    prepare: Callable[[World], None]
    act: Callable[[World], None]
    needs_sweeper: bool = False  # nothing else retries what such an invocation left undone
    sweeper_after_death: bool = (
        False  # a death between row and message leaves it to the sweeper, and only that
    )

    def __str__(self) -> str:
        return self.name


def _endpoints(world: World) -> list[Endpoint]:
    """Return the endpoints by workspace and URL: a table lists them in no order."""
    there = (life.endpoint for life in world.lives.values())
    return sorted(there, key=lambda endpoint: (endpoint.url.split(".")[1], endpoint.url))


def _one_lane(world: World, *types: str) -> None:
    """Publish to receivers that answer well, badly and with 410, all in one batch."""
    for number, mood in ((HOSTS, Mood.BROKEN), (HOSTS + 1, Mood.GONE)):
        world.receivers.moods[host(0, number)] = mood
        with world.happening():
            customers.register(world, 0, number)
    with world.happening():
        customers.publish(world, 0, list(types) or ["CONTACT_CREATED"])
    records = [record for lane in world.stream.lanes.values() for record in lane.waiting]
    world.stream.lanes.clear()
    for record in records:
        world.stream.add("0", record.content)


def _two_events(world: World) -> None:
    _one_lane(world, "CONTACT_CREATED", "CAMPAIGN_SENT")


def _switched_off(world: World) -> None:
    _one_lane(world)
    with world.happening():
        customers.change(world, _endpoints(world)[0], enabled=False)


def _dispatched_before(world: World) -> None:
    """Redeliver a dispatched batch whose checkpoint was lost."""
    _one_lane(world)
    with world.happening():
        world.stream.poll("0")
    world.stream.repeat("0")


def _lost_long_ago(world: World) -> None:
    """Redeliver a batch whose retries lost their messages long ago, with new work in it."""
    _one_lane(world)
    with world.happening():
        world.stream.poll("0")
    world.stream.repeat("0")
    for queue in world.queues.values():
        queue.messages.clear()
    world.clock.now_ms += LOST_MS + 61_000  # the first retry is due after a minute
    with world.happening():
        customers.register(world, 0, HOSTS + 2)


def _dispatch(world: World) -> None:
    world.stream.poll("0")


def _dispatch_unreadable(world: World) -> None:
    """Dispatch during a rollback, when the row of one endpoint cannot be read for a while."""
    endpoint = next(iter(world.lives.values())).endpoint
    with unreadable(world.installation, endpoint.channel, endpoint.id, "v"):
        world.stream.poll("0")


def _short_of_time(world: World) -> None:
    world.way = replace(world.way, remaining_ms=19_000)
    world.stream.poll("0")


def _queued(world: World) -> None:
    """Leave first attempts to DeliverQueue for lack of time."""
    _one_lane(world)
    with world.happening(Way(remaining_ms=19_000)):
        world.stream.poll("0")


def _retrying(world: World, attempts: int = 1, *, well: bool = False) -> None:
    """Bring deliveries to where the attempt after this many is due."""
    world.receivers.moods.update({host(0, number): Mood.BROKEN for number in range(HOSTS)})
    with world.happening():
        customers.publish(world, 0, ["CONTACT_CREATED"])
    with world.happening():
        for lane in world.stream.ready():
            world.stream.poll(lane)
    for queue in DELIVER_QUEUES[1:][: attempts - 1]:
        recovery.wait(world)
        with world.happening():
            world.queues[queue].poll()
    recovery.wait(world)
    if well:
        world.receivers.moods.clear()


def _deliver(world: World) -> None:
    next(queue for queue in world.queues.values() if queue.ready()).poll()


def _mailed(world: World) -> None:
    for recipient in ("somebody@acme.com", "bounce@simulator.amazonses.com"):
        with world.happening():
            customers.send_mail(world, recipient)


def _take(world: World) -> None:
    world.queues[FEEDBACK_QUEUE].poll()


def _settled(world: World) -> None:
    with world.happening():
        customers.publish(world, 0, ["CONTACT_CREATED"])
    recovery.drain(world)


def _overdue(world: World) -> None:
    """Leave retries without messages: their invocation died between row and message."""
    _retrying(world)
    for queue in world.queues.values():
        queue.messages.clear()
    world.clock.pass_seconds(SWEEP_SECONDS)


def _sweep(world: World) -> None:
    world.sweep()


def _replay(world: World) -> None:
    row = next(row for row in world.tables.rows() if row.status is Status.DELIVERED)
    customers.replay(world, row)


def _waiting(world: World) -> None:
    """Leave retries that are not due yet."""
    world.receivers.moods.update({host(0, number): Mood.BROKEN for number in range(HOSTS)})
    with world.happening():
        customers.publish(world, 0, ["CONTACT_CREATED"])
    with world.happening():
        for lane in world.stream.ready():
            world.stream.poll(lane)
    world.clock.pass_seconds(1)


def _retry_now(world: World) -> None:
    row = next(row for row in world.tables.rows() if row.status is Status.RETRYING)
    customers.retry_now(world, row)


def _retried_now(world: World) -> None:
    """Leave a retry with two messages: one of them is due, the other one later."""
    _waiting(world)
    with world.happening():
        _retry_now(world)


def _failed(world: World) -> None:
    """Leave a few deliveries failed and their receivers healthy."""
    world.receivers.moods.update({host(0, number): Mood.WRONG for number in range(HOSTS)})
    with world.happening():
        customers.publish(world, 0, ["CONTACT_CREATED"] * 3)
    with world.happening():
        for lane in world.stream.ready():
            world.stream.poll(lane)
    world.receivers.moods.clear()
    world.clock.pass_seconds(1)


def _replay_failed(world: World) -> None:
    customers.replay_failed(world, _endpoints(world)[0])


def _bulk(world: World) -> None:
    """Accept a bulk replay whose first step is still to come."""
    _failed(world)
    with world.happening():
        _replay_failed(world)


def _bulk_page(world: World) -> None:
    """Bring a bulk replay to its page."""
    _bulk(world)
    with world.happening():
        _make_step(world)


def _make_step(world: World) -> None:
    if not world.queues[REPLAY_QUEUE].ready():
        recovery.wait(world)
    world.queues[REPLAY_QUEUE].poll()


def _publish_batch(world: World) -> None:
    customers.publish(world, 0, ["CONTACT_CREATED"] * 3, key="batch")


def _nothing(_: World) -> None: ...


def _gone(world: World) -> None:
    """Leave the operational event about an endpoint that answered 410."""
    _one_lane(world)
    with world.happening():
        world.stream.poll("0")
    records = [record for lane in world.stream.lanes.values() for record in lane.waiting]
    assert [events.from_item(one.content["dynamodb"]["NewImage"]).notice is None for one in records] == [
        False
    ]


def _dispatch_ready(world: World) -> None:
    (lane,) = world.stream.ready()
    world.stream.poll(lane)


def _noticed(world: World) -> None:
    """Leave the message of a notice."""
    _gone(world)
    with world.happening():
        _dispatch_ready(world)
    assert world.notice_messages()


def _gone_meanwhile(world: World) -> None:
    _retrying(world)
    with world.happening():
        first, second, *_ = _endpoints(world)
        customers.delete(world, first)
        customers.change(world, second, enabled=False)


MINUTES: Final = 600
"""Seconds that throttling lasts: several re-runs of a record and receives of a message."""


def _first_endpoint(world: World) -> Endpoint:
    return next(iter(world.lives.values())).endpoint


def _throttled(world: World) -> None:
    """Refuse the rows of one endpoint from before its first attempts."""
    _one_lane(world)
    world.throttle(MINUTES, _first_endpoint(world))


def _all_throttled(world: World) -> None:
    _one_lane(world)
    world.throttle(MINUTES)


def _throttled_again(world: World) -> None:
    """Redeliver a batch that was dispatched while the whole table was throttled, and still is."""
    _all_throttled(world)
    with world.happening():
        world.stream.poll("0")
    world.stream.repeat("0")


def _throttled_and_disabled(world: World) -> None:
    _switched_off(world)
    world.throttle(MINUTES)


def _handed_over(world: World) -> None:
    """Bring results that DynamoDB refused to where their rows are written."""
    _all_throttled(world)
    with world.happening():
        world.stream.poll("0")
    world.throttling.end()
    recovery.wait(world)


def _queued_without_rows(world: World) -> None:
    """Leave first attempts to DeliverQueue while their rows are refused, until that has passed."""
    _one_lane(world)
    world.throttle(MINUTES)
    with world.happening(Way(remaining_ms=19_000)):
        world.stream.poll("0")
    world.throttling.end()
    recovery.wait(world)


def _queued_and_throttled(world: World) -> None:
    _queued_without_rows(world)
    world.throttle(MINUTES, spares_claims=True)


def _retrying_and_throttled(world: World, *, well: bool) -> None:
    _retrying(world, well=well)
    world.throttle(MINUTES, spares_claims=True)


def _retried_now_and_throttled(world: World) -> None:
    _retried_now(world)
    world.throttle(MINUTES, spares_claims=True)


SCENARIOS: Final = (
    Scenario("publish a batch", _nothing, _publish_batch),
    Scenario("dispatch while all rows are refused", _all_throttled, _dispatch),
    Scenario("dispatch to every kind of receiver", _two_events, _dispatch, sweeper_after_death=True),
    Scenario("dispatch with a disabled endpoint", _switched_off, _dispatch, sweeper_after_death=True),
    Scenario(
        "dispatch to an endpoint that cannot be read",
        _one_lane,
        _dispatch_unreadable,
        sweeper_after_death=True,
    ),
    Scenario("dispatch a batch that was dispatched before", _dispatched_before, _dispatch),
    Scenario("dispatch a batch whose messages were lost", _lost_long_ago, _dispatch, needs_sweeper=True),
    Scenario("dispatch without time", _one_lane, _short_of_time, sweeper_after_death=True),
    Scenario("deliver queued first attempts", _queued, _deliver),
    Scenario("deliver a retry that succeeds", lambda world: _retrying(world, well=True), _deliver),
    Scenario("deliver a retry that fails", _retrying, _deliver),
    Scenario("deliver the last retry", lambda world: _retrying(world, 3), _deliver),
    Scenario("deliver to deleted and disabled endpoints", _gone_meanwhile, _deliver),
    Scenario("dispatch an operational event with a notice", _gone, _dispatch_ready, sweeper_after_death=True),
    Scenario("send a notice", _noticed, _deliver),
    Scenario("accept notifications", _mailed, _take),
    Scenario("sweep", _overdue, _sweep, needs_sweeper=True),
    Scenario("replay one", _settled, _replay, needs_sweeper=True),
    Scenario("retry one now", _waiting, _retry_now),
    Scenario("deliver a retry that was moved to now", _retried_now, _deliver),
    Scenario("accept a bulk replay", _failed, _replay_failed),
    Scenario("find the deliveries of a bulk replay", _bulk, _make_step),
    Scenario("replay a page of a bulk replay", _bulk_page, _make_step),
    Scenario(
        "dispatch while an endpoint's rows are refused", _throttled, _dispatch, sweeper_after_death=True
    ),
    Scenario("dispatch again while all rows are refused", _throttled_again, _dispatch),
    Scenario(
        "dispatch with a disabled endpoint, throttled",
        _throttled_and_disabled,
        _dispatch,
        sweeper_after_death=True,
    ),
    Scenario("write rows that were refused", _handed_over, _deliver),
    Scenario("deliver first attempts without rows", _queued_without_rows, _deliver),
    Scenario("deliver first attempts without rows, throttled", _queued_and_throttled, _deliver),
    Scenario(
        "deliver a retry that succeeds, throttled",
        lambda world: _retrying_and_throttled(world, well=True),
        _deliver,
    ),
    Scenario(
        "deliver a retry that fails, throttled",
        lambda world: _retrying_and_throttled(world, well=False),
        _deliver,
    ),
    Scenario("deliver a retry that was moved to now, throttled", _retried_now_and_throttled, _deliver),
)
