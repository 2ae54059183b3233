"""Anything that can happen, in any order: the state machine that Hypothesis drives."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, ClassVar

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from posthorn.domain.models import Status
from tests.proof import customers, promise, recovery
from tests.proof.event_sources import QUEUES
from tests.proof.faults import Fault, Kind
from tests.proof.receivers import Mood
from tests.proof.world import HOSTS, WORKSPACES, Way, World, host

if TYPE_CHECKING:
    from posthorn.domain.models import Delivery, Endpoint

ENDPOINTS = 6  # more would only be slower

some = st.integers(0, 11)  # picks one of the existing resources
workspaces = st.integers(0, WORKSPACES - 1)
hosts = st.integers(0, HOSTS - 1)
# retries are the most interesting; few receivers answer 410, since their endpoints send nothing afterwards
moods = st.sampled_from([Mood.BROKEN, Mood.BROKEN, Mood.BROKEN, Mood.HANGING, Mood.LIMITED, *Mood])
# death is the subject here, and most invocations have only a few steps
kinds = st.sampled_from(
    [Kind.DIE_BEFORE, Kind.DIE_AFTER, *(kind for kind in Kind if kind is not Kind.MEANWHILE)]
)
faults = st.builds(Fault, kinds, st.sampled_from([0, 1, 1, 2, 2, 3, 3, 4, 4, 5, 5, 6, 7, 8, 10, 12]))
ways = st.builds(
    Way,
    fault=st.none() | faults | faults,
    is_lazy=st.booleans(),
    at_once=st.booleans(),
    remaining_ms=st.sampled_from([60_000, 60_000, 60_000, 60_000, 60_000, 60_000, 19_000, 4_000]),
)
halfway = st.builds(Way, fault=st.just(Fault(Kind.DIE_AFTER, 3)))  # of a replay: between row and message
requests = st.builds(Way, fault=st.none() | st.none() | faults, is_lazy=st.booleans())


@dataclass(frozen=True)
class Poll:
    """One poll of one mapping."""

    which: int
    size: int
    first: int
    patient: bool  # waits for the next message if there is nothing to do
    way: Way
    between: tuple[int, int] | None = None  # the step at which another invocation runs, and which one


# mappings work after every rule; a rule of their own would be left out of every other run
polls = st.lists(
    st.builds(
        Poll,
        which=some,
        size=st.sampled_from([1, 2, 100]),
        first=some,
        patient=st.booleans(),
        way=ways,
        between=st.none() | st.none() | st.none() | st.tuples(st.integers(0, 8), some),
    ),
    max_size=2,
)


class Machine(RuleBasedStateMachine):
    """One run: a world from its beginning until everything has settled."""

    world: ClassVar[World]
    with_sweeper: ClassVar[bool] = True
    """Without it, no run loses work that only the sweeper or an operator could recover."""

    def __init__(self) -> None:
        super().__init__()
        self.world.begin()
        self.world.tally["runs"] += 1

    @initialize(moods=st.lists(moods, min_size=6, max_size=6))
    def receivers_have_moods(self, moods: list[Mood]) -> None:
        names = [host(workspace, number) for workspace in range(WORKSPACES) for number in range(HOSTS)]
        self.world.receivers.moods.update(zip(names, moods, strict=True))

    # ---- customers

    @precondition(lambda self: len(self._endpoints()) < ENDPOINTS)
    @rule(
        workspace=workspaces,
        number=hosts,
        patterns=st.sampled_from(customers.PATTERNS),
        way=requests,
        then=polls,
    )
    def register(self, workspace: int, number: int, patterns: list[str], way: Way, then: list[Poll]) -> None:
        with self.world.happening(way):
            customers.register(self.world, workspace, number, patterns)
        self._poll(then)

    @precondition(lambda self: len(self._endpoints()) < ENDPOINTS)
    @rule(number=hosts, way=requests, then=polls)
    def register_destination(self, number: int, way: Way, then: list[Poll]) -> None:
        with self.world.happening(way):
            customers.register_destination(self.world, number)
        self._poll(then)

    @rule(
        workspace=workspaces,
        types=st.lists(st.sampled_from(customers.TYPES), min_size=1, max_size=4),
        keyed=st.booleans(),
        way=requests,
        then=polls,
    )
    def publish(self, workspace: int, types: list[str], keyed: bool, way: Way, then: list[Poll]) -> None:
        world = self.world
        with world.happening(way):
            key = f"key-{len(world.requests)}" if keyed else None
            customers.publish(world, workspace, types, key=key, single=len(types) == 1)
        self._poll(then)

    @precondition(lambda self: any(request.key for request in self.world.requests))
    @rule(which=some, way=requests, then=polls)
    def publish_again(self, which: int, way: Way, then: list[Poll]) -> None:
        keyed = [request for request in self.world.requests if request.key]
        with self.world.happening(way):
            self.world.publish(keyed[which % len(keyed)])
        self._poll(then)

    @rule(
        recipient=st.sampled_from(["somebody@acme.com", "bounce@simulator.amazonses.com"]),
        way=requests,
        then=polls,
    )
    def send_mail(self, recipient: str, way: Way, then: list[Poll]) -> None:
        with self.world.happening(way):
            customers.send_mail(self.world, recipient)
        self._poll(then)

    @precondition(lambda self: self._endpoints())
    @rule(which=some, on=st.sampled_from([True, True, False]), way=requests, then=polls)
    def switch(self, which: int, on: bool, way: Way, then: list[Poll]) -> None:
        with self.world.happening(way):
            customers.change(self.world, self._endpoint(which), enabled=on)
        self._poll(then)

    @precondition(lambda self: self._endpoints())
    @rule(which=some, number=hosts, way=requests, then=polls)
    def move(self, which: int, number: int, way: Way, then: list[Poll]) -> None:
        with self.world.happening(way):
            customers.move(self.world, self._endpoint(which), number)
        self._poll(then)

    @precondition(lambda self: self._endpoints())
    @rule(which=some, way=requests, then=polls)
    def rotate(self, which: int, way: Way, then: list[Poll]) -> None:
        with self.world.happening(way):
            customers.change(self.world, self._endpoint(which), token=f"a-new-secret-{self.world.step:08d}")
        self._poll(then)

    @precondition(lambda self: self._endpoints())
    @rule(which=some, way=requests, then=polls)
    def delete(self, which: int, way: Way, then: list[Poll]) -> None:
        with self.world.happening(way):
            customers.delete(self.world, self._endpoint(which))
        self._poll(then)

    @precondition(lambda self: self.with_sweeper and self._settled())
    @rule(which=some, way=requests | halfway, then=polls)
    def replay(self, which: int, way: Way, then: list[Poll]) -> None:
        settled = self._settled()
        with self.world.happening(way):
            customers.replay(self.world, settled[which % len(settled)])
        self._poll(then)

    @precondition(lambda self: self._retrying())
    @rule(which=some, way=requests | halfway, then=polls)
    def retry_now(self, which: int, way: Way, then: list[Poll]) -> None:
        retrying = self._retrying()
        with self.world.happening(way):
            customers.retry_now(self.world, retrying[which % len(retrying)])
        self._poll(then)

    @precondition(lambda self: self.with_sweeper and self._failed())
    @rule(which=some, way=requests, then=polls)
    def replay_failed(self, which: int, way: Way, then: list[Poll]) -> None:
        failed = self._failed()
        with self.world.happening(way):
            endpoint_id = failed[which % len(failed)].key.endpoint_id
            customers.replay_failed(self.world, self.world.lives[endpoint_id].endpoint)
        self._poll(then)

    # ---- receivers, time, and actions of mappings

    @rule(workspace=workspaces, number=hosts, mood=moods, then=polls)
    def change_mood(self, workspace: int, number: int, mood: Mood, then: list[Poll]) -> None:
        self.world.receivers.moods[host(workspace, number)] = mood
        self._poll(then)

    @rule(seconds=st.sampled_from([1, 30, 60, 181, 300, 900, 3600]), then=polls)
    def pass_time(self, seconds: int, then: list[Poll]) -> None:
        self.world.clock.pass_seconds(seconds)
        self._poll(then)

    @precondition(lambda self: not self.world.throttling.is_active)
    @rule(
        which=some | some | st.none(),
        seconds=st.sampled_from([60, 300, 900]),
        claims=st.booleans(),
        then=polls,
    )
    def throttle(self, which: int | None, seconds: int, claims: bool, then: list[Poll]) -> None:
        """Let DynamoDB refuse the rows of one endpoint or of all, with or without their claims."""
        endpoint = self._endpoint(which) if which is not None and self._endpoints() else None
        self.world.throttle(seconds, endpoint, spares_claims=not claims)
        self._poll(then)

    @precondition(lambda self: self.world.throttling.is_active)
    @rule(then=polls)
    def stop_throttling(self, then: list[Poll]) -> None:
        self.world.throttling.end()
        self._poll(then)

    @precondition(lambda self: self.with_sweeper)
    @rule(way=ways, then=polls)
    def sweep(self, way: Way, then: list[Poll]) -> None:
        with self.world.happening(way):
            self.world.sweep()
        self._poll(then)

    @precondition(lambda self: self.with_sweeper and self._ready())
    @rule(which=some)
    def give_up(self, which: int) -> None:
        """Let a mapping give up: to the failure destination, or the dead-letter queue."""
        world, ready = self.world, self._ready()
        name = ready[which % len(ready)]
        if name in world.queues:
            world.queues[name].exhaust()
            world.queues[name].poll()
        else:
            world.stream.exhaust(name)

    @precondition(lambda self: self.world.stream.lanes)
    @rule(which=some, then=polls)
    def lose_checkpoint(self, which: int, then: list[Poll]) -> None:
        lanes = sorted(self.world.stream.lanes)
        self.world.stream.repeat(lanes[which % len(lanes)])
        self._poll(then)

    @rule(queue=st.sampled_from(QUEUES), then=polls)
    def duplicate_message(self, queue: str, then: list[Poll]) -> None:
        self.world.queues[queue].repeat()
        self._poll(then)

    # ---- invariants, and the final state

    @invariant()
    def order_of_effects(self) -> None:
        """No message precedes its row, and no other violation occurs unless a fault excuses it."""
        self._holds([*promise.out_of_order(self.world), *self.world.violations])

    def teardown(self) -> None:
        recovery.drain(self.world, with_sweeper=self.with_sweeper)
        self.world.count()
        self._holds([*promise.forsaken(self.world), *promise.broken(self.world)])

    # ----

    def _holds(self, broken: list[str]) -> None:
        if broken:
            self.world.tally.setdefault("the first run that broke the promise", self.world.tally["runs"])
        assert broken == [], broken

    def _poll(self, then: list[Poll]) -> None:
        """Let mappings poll, one after another."""
        for poll in then:
            if not self._ready() and poll.patient:
                recovery.wait(self.world)
            ready = self._ready()
            if not ready:
                return
            way, name = poll.way, ready[poll.which % len(ready)]
            if poll.between is not None:
                at, what = poll.between
                way = replace(way, fault=Fault(Kind.MEANWHILE, at), meanwhile=partial(self._between, what))
            elif name not in self.world.queues and not self.with_sweeper:
                way = replace(way, fault=None)  # only the sweeper finds a first retry without its message
            with self.world.happening(way):
                if name in self.world.queues:
                    self.world.queues[name].poll(poll.size, first=poll.first)
                else:
                    self.world.stream.poll(name, poll.size)

    def _ready(self) -> list[str]:
        return [*sorted(self.world.stream.ready()), *self._busy_queues()]

    def _between(self, what: int) -> None:
        """Run another request or invocation from beginning to end."""
        with self.world.happening():
            endpoints, queues = self._endpoints(), self._busy_queues()
            if what % 4 == 0 and endpoints:
                customers.delete(self.world, self._endpoint(what))
            elif what % 4 == 1 and endpoints:
                customers.change(self.world, self._endpoint(what), enabled=what % 8 == 1)
            elif queues:
                self.world.queues[queues[what % len(queues)]].poll(first=what)

    def _busy_queues(self) -> list[str]:
        return [name for name, queue in self.world.queues.items() if queue.ready()]

    def _settled(self) -> list[Delivery]:
        """Return the deliveries that can be replayed."""
        there = {endpoint.id for endpoint in self._endpoints()}
        return [
            row
            for row in self.world.tables.rows()
            if row.key.endpoint_id in there and row.status in {Status.DELIVERED, Status.FAILED}
        ]

    def _retrying(self) -> list[Delivery]:
        """Return the deliveries whose next attempt can be moved to now."""
        there = {endpoint.id for endpoint in self._endpoints()}
        return [
            row
            for row in self.world.tables.rows()
            if row.key.endpoint_id in there and row.status is Status.RETRYING
        ]

    def _failed(self) -> list[Delivery]:
        return [row for row in self._settled() if row.status is Status.FAILED]

    def _endpoints(self) -> list[Endpoint]:
        return [life.endpoint for _, life in sorted(self.world.lives.items()) if life.until is None]

    def _endpoint(self, which: int) -> Endpoint:
        there = self._endpoints()
        return there[which % len(there)]
