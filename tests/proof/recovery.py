"""How every run ends: the mappings continue, and work that they gave up is recovered."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from posthorn.delivery.bulk_replay import STALLED_MS
from posthorn_cli.redispatch import redispatch
from tests.installation import START_MS
from tests.mappings import Message
from tests.proof import customers
from tests.proof.world import SWEEP_SECONDS

if TYPE_CHECKING:
    from tests.proof.world import World

RETRY_SECONDS: Final = 30
"""Between the tries of a mapping, while it fails."""

LOOK_SECONDS: Final = STALLED_MS // 1000 + 1
"""After that long, reading a bulk replay that stands still wakes it."""


def drain(world: World, *, with_sweeper: bool = True) -> None:
    """Let time pass until nothing is left to do; receivers answer well, and throttling ends in its time."""
    world.receivers.moods.clear()
    for _ in range(200):
        if world.throttling.is_active:
            world.clock.pass_seconds(RETRY_SECONDS)
        with world.happening():
            busy = _work_off(world)
        if not busy and not wait(world) and not (with_sweeper and _recover(world)):
            return
    world.violations.append("the work does not end")


def _work_off(world: World) -> bool:
    """Let every mapping do its current work; return false if there was none."""
    lanes = world.stream.ready()
    for lane in lanes:
        world.stream.poll(lane)
    world.observe()
    busy = [queue for queue in world.queues.values() if queue.ready()]
    for queue in busy:
        queue.poll()
    return bool(lanes or busy)


def wait(world: World) -> bool:
    """Advance to the time when the next message is visible; return false if there is none."""
    moments = [message.visible_at for queue in world.queues.values() for message in queue.messages]
    if moments:
        world.clock.now_ms = max(world.clock.now_ms, min(moments))
    return bool(moments)


def _recover(world: World) -> bool:
    """Run the sweeper and the operator's commands for work given up; return false if there is none."""
    buried, world.buried = world.buried, []
    for queue, message in buried:
        world.queues[queue].messages.append(Message(message.id, message.body, world.clock()))
    world.tally["dead letters moved back"] += len(buried)
    if buried:
        return True  # first of all: results of attempts may be among them
    given_up, world.given_up = world.given_up, []
    if given_up:
        _redispatch(world)
    if due := [row.next_attempt_at or 0 for row in world.tables.rows() if row.status.is_open]:
        world.clock.now_ms = max(world.clock.now_ms, *due)
        world.clock.pass_seconds(SWEEP_SECONDS)
        world.sweep()
    standing = _look_at_replays(world)
    world.observe()
    return bool(given_up or standing or world.tasks())  # swept deliveries come as messages


def _look_at_replays(world: World) -> int:
    """Read bulk replays that stand still, as their callers would; return how many there are."""
    standing = world.standing_replays()
    if standing:
        world.clock.pass_seconds(LOOK_SECONDS)
    for job in standing:
        customers.look_at_replays(world, world.lives[job.endpoint_id].endpoint)
    return len(standing)


def _redispatch(world: World) -> None:
    """Run `posthorn redispatch` over everything."""
    until = (
        world.clock() + 60_000
    )  # what a mail's events are called is their time, as the backend's clock has it
    done = redispatch(
        world.operator, since_ms=START_MS, until_ms=until, dry_run=False, progress=lambda _: None
    )
    world.tally["deliveries redispatched"] += done.queued
