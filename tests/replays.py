"""Bulk replays in an installation: rows to replay, and a Lambda that crashes where a test says."""

from __future__ import annotations

import threading
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final
from unittest import mock

from botocore.client import BaseClient

from posthorn.domain.clock import rfc3339_ms
from posthorn.domain.ids import EVENT, new_id
from posthorn.domain.models import Delivery, DeliveryKey, Reason, Status
from tests.installation import START_MS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.installation import Installation, Reply, Waiting

HOUR_MS: Final = 3_600_000
SINCE_MS: Final = START_MS - HOUR_MS
VISIBILITY: Final = 180  # seconds until a crashed function's message is received again

type Matches = Callable[[str, dict[str, Any]], bool]


class Died(BaseException):
    """The process has crashed; no code of ours can catch this."""


@dataclass
class Death:
    """Where a process crashes: at which of the matching calls, before or after it is carried out."""

    at: int
    after: bool
    matches: Matches = lambda _, __: True
    calls: int = 0  # matching calls so far
    is_over: bool = False
    lock: threading.Lock = field(default_factory=threading.Lock)

    def meets(self, name: str, parameters: dict[str, Any]) -> bool:
        """Count a call and return whether the crash is here; nothing is carried out after it."""
        with self.lock:
            if self.is_over:
                raise Died
            if not self.matches(name, parameters):
                return False
            self.calls += 1
            self.is_over = self.calls == self.at
            return self.is_over


def until_over(death: Death) -> Callable[[int], Death | None]:
    """Let invocations meet a crash until one of them has crashed."""
    return lambda _: None if death.is_over else death


@contextmanager
def dying(death: Death) -> Iterator[Death]:
    """Make AWS calls crash there."""
    plain = BaseClient._make_api_call  # type: ignore[attr-defined]  # not in the stubs

    def call(self: BaseClient, name: str, parameters: dict[str, Any]) -> Any:
        if not death.meets(name, parameters):
            return plain(self, name, parameters)
        if death.after:
            plain(self, name, parameters)
        raise Died

    with mock.patch.object(BaseClient, "_make_api_call", call):
        yield death


@dataclass
class Replaying:
    """An endpoint whose deliveries are replayed, and the queue of ReplayFunction."""

    posthorn: Installation
    endpoint_id: str
    events: list[str] = field(default_factory=list)
    collected: list[Waiting] = field(default_factory=list)

    @property
    def path(self) -> str:
        return f"/v1/webhooks/{self.endpoint_id}/replays"

    def settle(self, count: int, status: Status = Status.FAILED, *, is_test: bool = False) -> list[str]:
        """Write settled deliveries, a second apart; return their event ids."""
        first = len(self.events)
        made = [
            new_id(EVENT, now_ms=SINCE_MS + number * 700, entropy=self.posthorn.services.random_bytes(10))
            for number in range(first, first + count)
        ]
        rows = [self._settled(event_id, status, is_test=is_test) for event_id in made]
        for start in range(0, count, 25):
            self.posthorn.deliveries.put_all(rows[start : start + 25], now_ms=self.posthorn.clock())
        self.events += made
        return made

    def _settled(self, event_id: str, status: Status, *, is_test: bool) -> Delivery:
        return Delivery(
            key=DeliveryKey(self.endpoint_id, event_id),
            channel=self.posthorn.workspace,
            event_type="CONTACT_CREATED",
            status=status,
            attempt=0 if status is Status.QUEUED else 1,
            reason=Reason.REJECTED if status is Status.FAILED else None,
            next_attempt_at=START_MS if status.is_open else None,
            is_test=is_test,
        )

    def start(self, **wanted: Any) -> str:
        """Start a replay of everything and return its id."""
        reply = self.post(**wanted)
        assert reply.status == 202, reply
        replay_id: str = reply.body["replay"]["id"]
        return replay_id

    def post(self, *, headers: dict[str, str] | None = None, **wanted: Any) -> Reply:
        body = {"since": rfc3339_ms(SINCE_MS), **wanted}
        return self.posthorn.call("POST", self.path, body, headers=headers)

    def get(self, replay_id: str) -> dict[str, Any]:
        reply = self.posthorn.call("GET", f"{self.path}/{replay_id}")
        assert reply.status == 200, reply
        replay: dict[str, Any] = reply.body["replay"]
        return replay

    def run(
        self,
        deaths: Callable[[int], Death | None] = lambda _: None,
        *,
        steps: int = 1000,
        collect: bool = False,
    ) -> int:
        """Process the queue as Lambda does; return the number of invocations.

        `deaths` says where the nth invocation crashes. `collect` removes what is sent to DeliverQueue, since
        moto searches all of it for each message.
        """
        messages: list[Waiting] = []
        for number in range(steps):
            messages += self.posthorn.take("ReplayQueue")
            self.collected += self.posthorn.take("DeliverQueue") if collect else []
            if not messages:
                return number
            message = messages.pop(0)
            self.posthorn.clock.pass_seconds(message.delay)
            if self._is_done(message, deaths(number)):
                continue
            self.posthorn.clock.pass_seconds(VISIBILITY)
            messages.append(message)
        return steps

    def _is_done(self, message: Waiting, death: Death | None) -> bool:
        if death is None:
            return not self.posthorn.replay([message])
        try:
            with dying(death):
                return not self.posthorn.replay([message])
        except Died:
            return False

    def rows(self) -> dict[str, Delivery]:
        """Return every delivery of the endpoint by event id, in the order of `events`."""
        keys = [DeliveryKey(self.endpoint_id, event_id) for event_id in self.events]
        found, unknown = self.posthorn.deliveries.get_many(keys)
        assert not unknown
        return {key.event_id: row for key in keys if (row := found.get(key)) is not None}

    def generations(self) -> dict[str, int]:
        return {event_id: row.generation for event_id, row in self.rows().items()}

    def asked_for(self) -> list[tuple[str, int, int]]:
        """Return event, generation and attempt of every message on DeliverQueue, without duplicates."""
        tasks = [message.task for message in (*self.collected, *self.posthorn.waiting("DeliverQueue"))]
        mine = {
            (task["event"], task["generation"], task["attempt"])
            for task in tasks
            if task["endpoint"] == self.endpoint_id
        }
        return sorted(mine)


def replaying(posthorn: Installation) -> Replaying:
    """Register a webhook without any deliveries."""
    return Replaying(posthorn, posthorn.register()["id"])
