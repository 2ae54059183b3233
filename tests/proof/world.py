"""A whole Posthorn under faults: the real functions, moto's tables and queues, and the mappings' model."""

from __future__ import annotations

import random
from collections import Counter
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property, partial
from typing import TYPE_CHECKING, Any, Final
from unittest import mock

import boto3
from moto.sqs.models import sqs_backends

from posthorn.aws.messages import RecordedAttempt, read_message
from posthorn.aws.notice_messages import is_about_notice, read_notice_message
from posthorn.domain.errors import Unavailable
from posthorn.email.events import event_of
from posthorn.email.sns import unwrap
from posthorn.handlers import deliver as deliver_handler
from posthorn.handlers import dispatch as dispatch_handler
from posthorn.handlers import feedback as feedback_handler
from posthorn.handlers import replay as replay_handler
from posthorn.handlers import sweep as sweep_handler
from posthorn.stores import events
from posthorn.wiring import delivery as wiring
from posthorn.wiring.jobs import open_feedback
from posthorn_cli.installed import Installed
from tests.installation import START_MS, Installation, Reply
from tests.mappings import Died, Message, Record
from tests.notice_queue import taken_notices
from tests.proof import event_sources
from tests.proof.event_sources import DEAD_LETTER_QUEUES, DELIVER_QUEUES, FEEDBACK_QUEUE, QUEUES, REPLAY_QUEUE
from tests.proof.tables import Tables
from tests.template import ACCOUNT, REGION

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from posthorn.aws.messages import QueueMessage
    from posthorn.domain.models import DeliveryKey, Endpoint, Event
    from posthorn.domain.replay_job import ReplayJob
    from tests.proof.faults import Fault, Faults, Invocation, Threads
    from tests.proof.receivers import Receivers

WORKSPACES: Final = 2
HOSTS: Final = 3  # of each workspace
MAIL_WORKSPACE: Final = 0
MAIL_SET: Final = "mails"
LANES: Final = 3  # of the shards of a channel's events; more would add nothing
SWEEP_SECONDS: Final = 660
"""Longer than the sweeper's interval plus its grace period."""


@dataclass
class Way:
    """How an invocation runs: its fault, and which order of threads it takes."""

    fault: Fault | None = None
    is_lazy: bool = False
    at_once: bool = False
    remaining_ms: int = 60_000
    meanwhile: Callable[[], None] | None = None


@dataclass
class Request:
    """A publish request to the API; with a key it can be repeated."""

    workspace: int
    body: dict[str, Any]
    key: str | None
    count: int
    ids: tuple[str, ...] | None = None  # once it was answered
    rows: set[str] = field(default_factory=set)  # the resulting events


@dataclass
class Life:
    """The history of an endpoint, as its row showed after each step."""

    endpoint: Endpoint
    since: int  # steps
    until: int | None = None
    off: list[int] = field(default_factory=list)  # steps after which it was disabled


@dataclass
class World:
    """The current state and the whole history."""

    installation: Installation
    faults: Faults
    threads: Threads
    receivers: Receivers
    keys: list[tuple[str, str]]  # workspaces and their API keys
    mail_set: str  # the configuration set of the first workspace
    tally: Counter[str] = field(default_factory=Counter)  # of all runs

    def __post_init__(self) -> None:
        self.clock = self.installation.clock
        self.throttling = self.faults.throttling
        self._seed = 0
        self.tables = Tables(self.installation.tables)
        self._sqs = sqs_backends[ACCOUNT][REGION].queues
        self.settle_down()
        self.begin()

    @cached_property
    def operator(self) -> Installed:
        """The installation as its operator's commands find it; its clients take long to make."""
        here = self.installation
        outputs = {f"{name}Name": table for name, table in here.tables.items()}
        outputs |= {f"{name}Name": url.rsplit("/", 1)[1] for name, url in here.queues.items()}
        return Installed("posthorn", boto3.Session(), {**outputs, "RetentionDays": "30"}, self.clock)

    # ---- beginning

    def settle_down(self) -> None:
        """Let every run begin with the endpoints that exist now."""
        self.tables.keep_config()
        self._seed += 1  # or the next run would create the same ids again

    def begin(self) -> None:
        """Reset everything from the run before."""
        self.clock.now_ms = START_MS
        self.installation.randomness.seed(self._seed)
        random.seed(7)
        self.tables.begin()
        for queue in self._sqs.values():
            queue._messages.clear()
        self.receivers.moods.clear()
        self.receivers.sent.clear()
        self.step = 0
        self.accepted: dict[str, Event] = {}
        self.accepted_at: dict[str, int] = {}
        self.answered: set[str] = set()
        self.told: set[str] = set()  # ids of the events that notifications describe
        self.notices: set[str] = set()  # ids of the operational events that the operator heard of
        self.requests: list[Request] = []
        self.lives: dict[str, Life] = {}
        self.unrecorded: dict[tuple[DeliveryKey, int, int], int] = {}
        self.throttling.end()
        self.was_refused = False  # a call, by throttling or by a fault
        self.deaths: list[int] = []  # the steps of all deaths
        self.given_up: list[Record] = []
        self.buried: list[tuple[str, Message]] = []
        self.dead_letters: list[dict[str, Any]] = []
        self.violations: list[str] = []
        self._made_mappings()
        self.revive()
        self.observe()

    def revive(self) -> None:
        """Start new processes of the functions, with empty caches."""
        here = self.installation
        self.dispatcher = wiring.dispatcher(here.settings, network=self.receivers, clock=self.clock)
        self.deliverer = wiring.deliverer(here.settings, network=self.receivers, clock=self.clock)
        self.feedback = open_feedback(here.feedback_settings, clock=self.clock)

    def _made_mappings(self) -> None:
        self.stream = event_sources.stream_mapping(
            self._dispatch, give_up=lambda records, _: self.given_up.extend(records), clock=self.clock
        )
        functions = dict.fromkeys(DELIVER_QUEUES, self._deliver)
        functions |= {FEEDBACK_QUEUE: self._take_notifications, REPLAY_QUEUE: self._replay}
        self.queues = {
            queue: event_sources.queue_mapping(
                queue,
                functions[queue],
                dead_letter=partial(self._bury, queue),
                clock=self.clock,
            )
            for queue in QUEUES
        }

    def _bury(self, queue: str, message: Message) -> None:
        self.buried.append((queue, message))

    # ---- the functions, as Lambda runs them

    way = Way()
    watched: Invocation | None = None  # the first since the last read

    def after_answer(self) -> None:
        """Run what a broken function does after its answer; Posthorn's functions do nothing."""

    def throttle(
        self, seconds: int, endpoint: Endpoint | None = None, *, spares_claims: bool = False
    ) -> None:
        """Let DynamoDB refuse the rows of an endpoint's deliveries, or all of them, for some time."""
        self.was_refused = True
        partition = None if endpoint is None else endpoint.id
        self.throttling.begin(seconds, partition=partition, spares_claims=spares_claims)

    def _dispatch(self, event: dict[str, Any]) -> Any:
        context = mock.Mock(get_remaining_time_in_millis=lambda: self.way.remaining_ms)
        with mock.patch.object(dispatch_handler, "dispatcher", return_value=self.dispatcher):
            return self.invoke(lambda: dispatch_handler.handler(event, context), by="dispatch")

    def _deliver(self, event: dict[str, Any]) -> Any:
        with mock.patch.object(deliver_handler, "deliverer", return_value=self.deliverer):
            return self.invoke(lambda: deliver_handler.handler(event, None), by="deliver")

    def _take_notifications(self, event: dict[str, Any]) -> Any:
        with mock.patch.object(feedback_handler, "feedback", return_value=self.feedback):
            return self.invoke(lambda: feedback_handler.handler(event, None))

    def _replay(self, event: dict[str, Any]) -> Any:
        with mock.patch.object(replay_handler, "replayer", return_value=self.installation.replayer):
            return self.invoke(lambda: replay_handler.handler(event, None))

    def sweep(self) -> None:
        """Run the sweeper once, as its schedule does."""
        context = mock.Mock(get_remaining_time_in_millis=lambda: self.way.remaining_ms)
        with mock.patch.object(sweep_handler, "sweeper", return_value=self.installation.sweeper):
            try:
                swept = self.invoke(lambda: sweep_handler.handler({}, context))
            except (Died, Unavailable):
                return  # the next run does what this one did not
        self.tally["rows swept"] += swept["enqueued"]

    def invoke[R](self, act: Callable[[], R], *, by: str = "") -> R:
        """Run one invocation in the chosen way, and check what it left behind."""
        way, before = self.way, len(self.receivers.sent)
        known = {name: life.endpoint for name, life in self.lives.items() if life.until is None}
        self.threads.is_lazy, self.receivers.at_once = way.is_lazy, way.at_once
        outer, self.receivers.process = self.receivers.process, f"{by} {len(self.deaths)}"
        with self.faults.invocation(way.fault, way.meanwhile) as invocation:
            if self.watched is None:
                self.watched = invocation
            try:
                answer = act()
                self._go_on()
            except Died:
                self.tally["invocations that died"] += 1
                self.deaths.append(self.step)
                self.revive()
                raise
            except Unavailable:
                raise  # only where our own handler does not answer
            except Exception as error:
                self.violations.append(f"an invocation raised {error!r}")
                raise Died(repr(error)) from error
            else:
                return answer
            finally:
                self.receivers.process = outer
                self._look(invocation, before, known)

    def _go_on(self) -> None:
        """Run what follows the answer; whether it survives that changes no answer."""
        try:
            self.after_answer()
        except Died:
            self.deaths.append(self.step)
            self.revive()
        except Unavailable:
            return  # no caller is left to hear of it

    def _look(self, invocation: Invocation, before: int, known: dict[str, Endpoint]) -> None:
        """Record what an invocation sent without recording, which only a fault excuses, and what it knew.

        `known` are the endpoints as they were when it began.
        """
        self.tally["invocations"] += 1
        self.tally["invocations with a fault"] += invocation.struck
        self.was_refused |= invocation.struck
        for sent in self.receivers.sent[before:]:
            then = known.get(sent.key.endpoint_id)
            if then is None or sent.endpoint.revision < then.revision:
                self.violations.append(f"sent to an outdated version of an endpoint: {sent.key}")
            if not sent.endpoint.enabled:
                self.violations.append(f"sent to a disabled endpoint: {sent.key}")
            row = self.tables.row(sent.key)
            if row is not None and (row.generation, row.attempt) >= (sent.generation, sent.attempt):
                continue
            self.unrecorded[sent.what] = self.unrecorded.get(sent.what, 0) + 1
            if not invocation.struck and sent.what not in self._handed_over():
                self.violations.append(
                    f"neither on record nor handed over, without a fault to excuse it: {sent.what}"
                )

    def _handed_over(self) -> set[tuple[DeliveryKey, int, int]]:
        """Return the attempts whose results are on their way in DeliverQueue."""
        bodies = [message.body for message in self.installation.waiting("DeliverQueue")]
        bodies += [message.body for message in self.queues["DeliverQueue"].messages]
        messages = _about_attempts(bodies)
        return {
            (one.key, one.generation, one.attempt) for one in messages if isinstance(one, RecordedAttempt)
        }

    # ---- actions

    @contextmanager
    def happening(self, way: Way | None = None) -> Iterator[None]:
        """Advance one step: what happens in the block becomes known afterwards."""
        outer, self.way = self.way, way or Way()
        self.step += 1
        try:
            yield
        finally:
            self.way = outer
            self.observe()

    def request(
        self, workspace: int, method: str, path: str, body: Any = None, **headers: str
    ) -> Reply | None:
        """Call the API; return None if the function died before it answered."""
        sent = {name.replace("_", "-"): value for name, value in headers.items()}
        try:
            reply = self.invoke(
                lambda: self.installation.call(method, path, body, key=self.keys[workspace][1], headers=sent)
            )
        except Died:
            return None
        expected = {200, 201, 202, 404, 503}
        if path.endswith(("/replay", "/replays", "/retry-now")):
            expected.add(409)
        if reply.status not in expected:
            self.violations.append(f"{method} {path} was answered with {reply.status}")
        return reply

    def publish(self, request: Request) -> None:
        """Make a publish request, for the first time or again."""
        headers = {"idempotency_key": request.key} if request.key else {}
        before = set(self.accepted)
        reply = self.request(request.workspace, "POST", "/v1/events", request.body, **headers)
        self.observe()
        request.rows |= set(self.accepted) - before
        if len(request.rows) > request.count and request.key:
            self.violations.append("one idempotency key created more events than were published")
        if reply is None or reply.status == 503:
            return
        told = reply.body["events"] if "events" in reply.body else [reply.body["event"]]
        ids = tuple(event["id"] for event in told)
        if request.ids not in {None, ids}:
            self.violations.append("one idempotency key returned different events")
        request.ids = ids
        self.answered.update(ids)

    def count(self) -> None:
        """Add this run's figures to the totals of all runs."""
        told = self.tally
        told["events accepted"] += len(self.accepted)
        told["POSTs"] += len(self.receivers.sent)
        told["POSTs that a fault kept from the record"] += sum(self.unrecorded.values())
        told["POSTs repeated for that reason"] += len(self.receivers.sent) - len(
            {sent.what for sent in self.receivers.sent}
        )
        told["generations by replays"] += sum(row.generation - 1 for row in self.tables.rows())
        told["deliveries replayed in bulk"] += sum(job.counts.replayed for job in self.tables.replays())
        told.update(f"row {row.reason or row.status}" for row in self.tables.rows())

    def observe(self) -> None:
        """Pick up what was written: stream records, messages, and the endpoints' state."""
        for record in self.tables.fresh_records():
            event = events.from_item(record["dynamodb"]["NewImage"])
            self.accepted[event.id] = event
            self.accepted_at[event.id] = self.step
            partition = record["dynamodb"]["Keys"]["pk"]["S"]
            self.stream.add(f"{int(partition[-1]) % LANES}", record)
        for queue, mapping in self.queues.items():
            taken = self.installation.take(queue)
            mapping.messages += [Message(one.id, one.body, self.clock() + one.delay * 1000) for one in taken]
            if queue == "DeliverQueue":
                self._count(_about_attempts(one.body for one in taken))
            if queue == FEEDBACK_QUEUE:
                found = [event_of(told) for one in taken if isinstance(told := unwrap(one.body), dict)]
                self.told |= {event.id for event in found}
        self.notices |= {notice["id"] for notice in taken_notices()}
        for queue in DEAD_LETTER_QUEUES:
            self.dead_letters += [one.task for one in self.installation.take(queue)]
        self._watch_endpoints()

    def _count(self, messages: list[QueueMessage]) -> None:
        for message in messages:
            if isinstance(message, RecordedAttempt):
                self.tally["results handed over"] += 1
            elif message.new_row is not None:
                self.tally["first attempts queued without a row"] += 1

    def _watch_endpoints(self) -> None:
        now = {endpoint.id: endpoint for endpoint in self.tables.endpoints()}
        for endpoint_id, endpoint in now.items():
            life = self.lives.setdefault(endpoint_id, Life(endpoint, self.step))
            life.endpoint = endpoint
            if not endpoint.enabled:
                life.off.append(self.step)
        for endpoint_id, life in self.lives.items():
            if endpoint_id not in now and life.until is None:
                life.until = self.step

    # ---- queries

    def tasks(self) -> list[QueueMessage]:
        """Return the delivery messages of all queues."""
        return [
            message
            for queue in DELIVER_QUEUES
            for message in _about_attempts(one.body for one in self.queues[queue].messages)
        ]

    def notice_messages(self) -> list[str]:
        """Return the ids of the operational events whose notices are still to be sent."""
        bodies = [message.body for queue in self.queues.values() for message in queue.messages]
        return [read_notice_message(body).event_id for body in bodies if is_about_notice(body)]

    def standing_replays(self) -> list[ReplayJob]:
        """Return the unfinished bulk replays; those of a deleted endpoint cannot be read."""
        return [
            job
            for job in self.tables.replays()
            if job.is_unfinished and self.lives[job.endpoint_id].until is None
        ]

    def workspace_of(self, receiver: str) -> str:
        """Return the workspace that a receiver belongs to."""
        return self.keys[int(receiver.split(".")[1].removeprefix("w"))][0]


def host(workspace: int, number: int) -> str:
    """Return the host name of a receiver; each belongs to one workspace."""
    return f"r{number}.w{workspace}.acme.com"


def _about_attempts(bodies: Iterable[str]) -> list[QueueMessage]:
    """Read messages of the queues of deliveries, without those about notices."""
    return [read_message(body) for body in bodies if not is_about_notice(body)]
