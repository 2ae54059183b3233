"""Faults at chosen AWS calls and POSTs, and a deterministic order of calls.

An invocation is a sequence of steps: each AWS call it makes and each POST it sends. A fault happens at one
step, by its number. After its death, an invocation takes no further step, whatever its code still tries.
"""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Any
from unittest import mock

from botocore.client import BaseClient
from botocore.exceptions import ClientError, ReadTimeoutError

from posthorn.aws import clients
from posthorn.delivery import bulk_replay
from tests.mappings import Died

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from tests.proof.throttling import Throttling

POST = "POST"


class Kind(StrEnum):
    """The fault that happens at a step."""

    DIE_BEFORE = "die before"
    DIE_AFTER = "die after"
    THROTTLE = "throttle"  # refused, and so are botocore's retries
    CONFLICT = "conflict at"  # another transaction holds the row of a write; nothing excuses unfinished work
    OUTAGE = "outage from"  # this step and all later ones are refused
    LOSE_ANSWER = "lose the answer of"  # carried out, but the response is lost
    TWICE = "do twice"  # carried out, the response lost, and carried out again by botocore
    HALF = "do half of"  # half of a batch; the response says which
    MEANWHILE = "something else before"  # another invocation or request runs in between


@dataclass(frozen=True)
class Fault:
    """One fault at the step with this number, counted from 0."""

    kind: Kind
    at: int


@dataclass
class Invocation:
    """What one invocation has done so far."""

    fault: Fault | None = None
    meanwhile: Callable[[], None] | None = None
    steps: list[str] = field(default_factory=list)
    dead: bool = False
    struck: bool = False  # the fault took place, so unfinished work is excused

    def step[R](self, name: str, act: Callable[[], R], *, halve: Callable[[], R] | None = None) -> R:
        """Take one step, or suffer the fault planned for it."""
        if self.dead:
            raise Died(name)
        number = len(self.steps)
        self.steps.append(name)
        fault = self.fault
        if fault is None or number < fault.at or (number > fault.at and fault.kind is not Kind.OUTAGE):
            return act()
        if name == POST and fault.kind not in {Kind.DIE_BEFORE, Kind.DIE_AFTER, Kind.MEANWHILE}:
            return act()
        if fault.kind is Kind.MEANWHILE:
            if self.meanwhile is not None:
                self.meanwhile()
            return act()
        if fault.kind is Kind.CONFLICT:
            if (conflict := _conflict(name)) is not None:
                raise conflict
            return act()
        self.struck = True
        return self._suffer(fault.kind, name, act, halve)

    def _suffer[R](self, kind: Kind, name: str, act: Callable[[], R], halve: Callable[[], R] | None) -> R:
        match kind:
            case Kind.DIE_BEFORE:
                self.dead = True
                raise Died(name)
            case Kind.DIE_AFTER:
                act()
                self.dead = True
                raise Died(name)
            case Kind.LOSE_ANSWER:
                act()
                raise ReadTimeoutError(endpoint_url="https://aws.invalid")
            case Kind.TWICE:
                act()
                return act()
            case Kind.HALF if halve is not None:
                return halve()
            case _:
                raise _refusal(name)


class Faults:
    """Starts invocations and plans their faults; several may run, one inside another."""

    def __init__(self, throttling: Throttling) -> None:
        self.throttling = throttling
        self._under_way: list[Invocation] = []

    @contextmanager
    def invocation(
        self, fault: Fault | None = None, meanwhile: Callable[[], None] | None = None
    ) -> Iterator[Invocation]:
        """Count the steps inside the block and let the fault happen."""
        invocation = Invocation(fault, meanwhile)
        self._under_way.append(invocation)
        try:
            yield invocation
        finally:
            self._under_way.pop()

    def step[R](self, name: str, act: Callable[[], R], *, halve: Callable[[], R] | None = None) -> R:
        """Take a step of the innermost invocation; outside of any, just act."""
        return self._under_way[-1].step(name, act, halve=halve) if self._under_way else act()

    @contextmanager
    def installed(self) -> Iterator[None]:
        """Make every AWS call a step."""
        plain = BaseClient._make_api_call  # type: ignore[attr-defined]  # not in the stubs

        def call(client: BaseClient, name: str, parameters: Any) -> Any:
            def act(given: Any) -> Any:
                return self.throttling.call(name, given, lambda allowed: plain(client, name, allowed))

            def halve() -> Any:
                return _half(act, name, parameters)

            half = halve if name in {"BatchWriteItem", "SendMessageBatch"} else None
            return self.step(name, lambda: act(parameters), halve=half)

        with mock.patch.object(BaseClient, "_make_api_call", call):
            yield


def _half(call: Callable[[Any], Any], name: str, parameters: Any) -> Any:
    """Process half of a batch and refuse the rest in a successful response, as both services do."""
    if name == "SendMessageBatch":
        entries = parameters["Entries"]
        middle = len(entries) // 2
        done = call({**parameters, "Entries": entries[:middle]}) if middle else {"Successful": []}
        refused = [
            {"Id": one["Id"], "Code": "ServiceUnavailable", "SenderFault": False} for one in entries[middle:]
        ]
        return {**done, "Failed": refused}
    ((table, requests),) = parameters["RequestItems"].items()
    middle = len(requests) // 2
    if middle:
        call({"RequestItems": {table: requests[:middle]}})
    return {"UnprocessedItems": {table: requests[middle:]}}


def _refusal(name: str) -> ClientError:
    error: Any = {"Error": {"Code": "ThrottlingException"}, "ResponseMetadata": {"HTTPStatusCode": 400}}
    return ClientError(error, name)


def _conflict(name: str) -> ClientError | None:
    """Return how DynamoDB refuses a write of a row that another transaction holds; None if it refuses no such call."""
    error: Any = {"ResponseMetadata": {"HTTPStatusCode": 400}}
    if name == "TransactWriteItems":
        error["Error"] = {"Code": "TransactionCanceledException"}
        error["CancellationReasons"] = [{"Code": "None"}, {"Code": "TransactionConflict"}]
    elif name in {"PutItem", "UpdateItem", "DeleteItem"}:
        error["Error"] = {"Code": "TransactionConflictException"}
    else:
        return None
    return ClientError(error, name)


# ---- simulated threads


class PendingCall[R]:
    """A call that was submitted to the threads."""

    def __init__(self, act: Callable[[], R]) -> None:
        self._act = act
        self._done = False
        self._result: R
        self._error: Exception | None = None

    def run(self) -> None:
        if self._done:
            return
        self._done = True
        try:
            self._result = self._act()
        except Exception as error:  # noqa: BLE001 - kept as a future would; death is not kept
            self._error = error

    def result(self) -> R:
        self.run()
        if self._error is not None:
            raise self._error
        return self._result


def _wait(calls: Iterable[PendingCall[Any]]) -> None:
    for call in calls:
        call.run()


class Threads:
    """Replaces the thread pool: each call runs either at once, or when its result is requested.

    These are the extremes of what real threads do, and both put the death of an invocation at an exact place.
    """

    def __init__(self) -> None:
        self.is_lazy = False

    def submit[**P, R](self, act: Callable[P, R], /, *args: P.args, **kwargs: P.kwargs) -> PendingCall[R]:
        pending = PendingCall(lambda: act(*args, **kwargs))
        if not self.is_lazy:
            pending.run()
        return pending

    @contextmanager
    def installed(self) -> Iterator[None]:
        """Replace the process's threads."""
        clients.threads.cache_clear()
        with (
            mock.patch.object(clients, "ThreadPoolExecutor", return_value=self),
            mock.patch.object(bulk_replay, "wait", _wait),
        ):
            yield
        clients.threads.cache_clear()
