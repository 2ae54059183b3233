"""Anything that can happen, in any order: the state machine that Hypothesis drives."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from posthorn.models import Status
from tests.proof import customers, promise
from tests.proof.faults import Fault, Kind
from tests.proof.receivers import Mood
from tests.proof.world import DELIVER_QUEUES, FEEDBACK_QUEUE, HOSTS, Way, World, host

if TYPE_CHECKING:
    from posthorn.models import Endpoint

WORKSPACES = 2
ENDPOINTS = 6  # more would only make the same slower

some = st.integers(0, 11)  # chooses among whatever there is
workspaces = st.integers(0, WORKSPACES - 1)
hosts = st.integers(0, HOSTS - 1)
faults = st.none() | st.builds(
    Fault, st.sampled_from([kind for kind in Kind if kind is not Kind.MEANWHILE]), st.integers(0, 12)
)
ways = st.builds(
    Way,
    fault=faults,
    is_lazy=st.booleans(),
    at_once=st.booleans(),
    remaining_ms=st.sampled_from([60_000, 60_000, 60_000, 19_000, 4_000]),
)
requests = st.builds(Way, fault=st.none() | faults, is_lazy=st.booleans())


class Machine(RuleBasedStateMachine):
    """One run: a world from its beginning until everything has settled."""

    world: ClassVar[World]

    def __init__(self) -> None:
        super().__init__()
        self.world.begin()

    # ---- customers

    @precondition(lambda self: len(self._endpoints()) < ENDPOINTS)
    @rule(workspace=workspaces, number=hosts, patterns=st.sampled_from(customers.PATTERNS), way=requests)
    def register(self, workspace: int, number: int, patterns: list[str], way: Way) -> None:
        with self.world.happening(way):
            customers.register(self.world, workspace, number, patterns)

    @precondition(lambda self: len(self._endpoints()) < ENDPOINTS)
    @rule(number=hosts, way=requests)
    def register_destination(self, number: int, way: Way) -> None:
        with self.world.happening(way):
            customers.register_destination(self.world, number)

    @rule(
        workspace=workspaces,
        types=st.lists(st.sampled_from(customers.TYPES), min_size=1, max_size=4),
        keyed=st.booleans(),
        way=requests,
    )
    def publish(self, workspace: int, types: list[str], keyed: bool, way: Way) -> None:
        world = self.world
        with world.happening(way):
            key = f"key-{len(world.requests)}" if keyed else None
            customers.publish(world, workspace, types, key=key, single=len(types) == 1)

    @precondition(lambda self: any(request.key for request in self.world.requests))
    @rule(which=some, way=requests)
    def publish_again(self, which: int, way: Way) -> None:
        keyed = [request for request in self.world.requests if request.key]
        with self.world.happening(way):
            self.world.publish(keyed[which % len(keyed)])

    @rule(
        recipient=st.sampled_from(["somebody@acme.com", "bounce@simulator.amazonses.com"]),
        way=requests,
    )
    def send_mail(self, recipient: str, way: Way) -> None:
        with self.world.happening(way):
            customers.send_mail(self.world, recipient)

    @precondition(lambda self: self._endpoints())
    @rule(which=some, on=st.booleans(), way=requests)
    def switch(self, which: int, on: bool, way: Way) -> None:
        with self.world.happening(way):
            customers.change(self.world, self._endpoint(which), enabled=on)

    @precondition(lambda self: self._endpoints())
    @rule(which=some, number=hosts, way=requests)
    def move(self, which: int, number: int, way: Way) -> None:
        with self.world.happening(way):
            customers.move(self.world, self._endpoint(which), number)

    @precondition(lambda self: self._endpoints())
    @rule(which=some, way=requests)
    def rotate(self, which: int, way: Way) -> None:
        with self.world.happening(way):
            customers.change(self.world, self._endpoint(which), token=f"a-new-secret-{self.world.step:08d}")

    @precondition(lambda self: self._endpoints())
    @rule(which=some, way=requests)
    def delete(self, which: int, way: Way) -> None:
        with self.world.happening(way):
            customers.delete(self.world, self._endpoint(which))

    @precondition(lambda self: any(not row.status.is_open for row in self.world.rows()))
    @rule(which=some, way=requests)
    def replay(self, which: int, way: Way) -> None:
        settled = [row for row in self.world.rows() if row.status in {Status.DELIVERED, Status.FAILED}]
        with self.world.happening(way):
            customers.replay(self.world, settled[which % len(settled)])

    # ---- receivers and time

    @rule(workspace=workspaces, number=hosts, mood=st.sampled_from(list(Mood)))
    def change_mood(self, workspace: int, number: int, mood: Mood) -> None:
        self.world.receivers.moods[host(workspace, number)] = mood

    @rule(seconds=st.sampled_from([1, 30, 60, 181, 300, 900, 3600]))
    def pass_time(self, seconds: int) -> None:
        self.world.clock.pass_seconds(seconds)

    # ---- the mappings

    @precondition(lambda self: self.world.stream.ready())
    @rule(which=some, size=st.sampled_from([1, 2, 100]), way=ways)
    def dispatch(self, which: int, size: int, way: Way) -> None:
        self._dispatch(which, size, way)

    @precondition(lambda self: self.world.stream.ready())
    @rule(which=some, between=some, at=st.integers(0, 8), way=ways)
    def dispatch_meanwhile(self, which: int, between: int, at: int, way: Way) -> None:
        """Dispatch, and in the middle of it something else: an endpoint is deleted, or a message delivered."""
        way.fault, way.meanwhile = Fault(Kind.MEANWHILE, at), lambda: self._between(between)
        self._dispatch(which, 100, way)

    @precondition(lambda self: self._busy_queues())
    @rule(which=some, size=st.sampled_from([1, 2, 10]), first=some, way=ways)
    def deliver(self, which: int, size: int, first: int, way: Way) -> None:
        self._deliver(which, size, first, way)

    @precondition(lambda self: self._busy_queues())
    @rule(which=some, first=some, between=some, at=st.integers(0, 8), way=ways)
    def deliver_meanwhile(self, which: int, first: int, between: int, at: int, way: Way) -> None:
        """Deliver, and in the middle of it something else."""
        way.fault, way.meanwhile = Fault(Kind.MEANWHILE, at), lambda: self._between(between)
        self._deliver(which, 10, first, way)

    @precondition(lambda self: self.world.queues[FEEDBACK_QUEUE].ready())
    @rule(way=ways, first=some)
    def notify(self, way: Way, first: int) -> None:
        with self.world.happening(way):
            self.world.queues[FEEDBACK_QUEUE].poll(first=first)

    @precondition(lambda self: self.world.stream.lanes)
    @rule(which=some)
    def lose_checkpoint(self, which: int) -> None:
        lanes = sorted(self.world.stream.lanes)
        self.world.stream.repeat(lanes[which % len(lanes)])

    @rule(queue=st.sampled_from([*DELIVER_QUEUES, FEEDBACK_QUEUE]))
    def duplicate_message(self, queue: str) -> None:
        self.world.queues[queue].repeat()

    # ---- what must hold at every moment, and in the end

    @invariant()
    def order_of_effects(self) -> None:
        """No message before its row, and nothing that a fault does not excuse."""
        assert [*promise.out_of_order(self.world), *self.world.violations] == []

    def teardown(self) -> None:
        self.world.drain()
        assert promise.broken(self.world) == []

    # ----

    def _dispatch(self, which: int, size: int, way: Way) -> None:
        lanes = sorted(self.world.stream.ready())
        with self.world.happening(way):
            self.world.stream.poll(lanes[which % len(lanes)], size)

    def _deliver(self, which: int, size: int, first: int, way: Way) -> None:
        queues = self._busy_queues()
        with self.world.happening(way):
            self.world.queues[queues[which % len(queues)]].poll(size, first=first)

    def _between(self, what: int) -> None:
        """Let another request or invocation run, from its beginning to its end."""
        with self.world.happening():
            endpoints, queues = self._endpoints(), self._busy_queues()
            if what % 4 == 0 and endpoints:
                customers.delete(self.world, self._endpoint(what))
            elif what % 4 == 1 and endpoints:
                customers.change(self.world, self._endpoint(what), enabled=what % 8 == 1)
            elif queues:
                self.world.queues[queues[what % len(queues)]].poll(first=what)

    def _busy_queues(self) -> list[str]:
        return [queue for queue in DELIVER_QUEUES if self.world.queues[queue].ready()]

    def _endpoints(self) -> list[Endpoint]:
        return [life.endpoint for _, life in sorted(self.world.lives.items()) if life.until is None]

    def _endpoint(self, which: int) -> Endpoint:
        there = self._endpoints()
        return there[which % len(there)]
