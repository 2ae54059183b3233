"""A model of Lambda's two event source mappings, on a clock that only a test advances.

The model covers, as AWS documents it:

Stream (DynamoDB)
- Records of one lane come in order, and one batch of a lane is processed at a time. `ParallelizationFactor` splits a
  shard into lanes: all records of one partition key are in one lane. Lanes are independent of each other.
- An answer without failures checkpoints behind the batch. With failures, everything before the lowest reported sequence
  number is done, and everything from it on is retried, including records that had succeeded.
- A batch that failed as a whole is bisected (`BisectBatchOnFunctionError`), which costs no retry; a single record is
  retried up to `MaximumRetryAttempts` times, or without limit if that is -1. Records that come again after a partial answer use up a retry, too.
- Records that have used up their retries, or that are older than `MaximumRecordAgeInSeconds`, are given up: the failure
  destination gets their sequence numbers, not their contents.
- A checkpoint may be lost: the last batch comes again (at least once).

Queue (SQS)
- A message is received when it is due, and then hidden for the visibility timeout. The order is not guaranteed.
- An answer deletes the messages that it does not name; the others are received again once they are visible.
- A message that was received `maxReceiveCount` times moves to the dead-letter queue instead of being received again.
- A deleted message may be received once more (at least once).

Both
- `None`, `{}`, and an empty or missing list of failures mean complete success. An exception, or an identifier that is
  empty, missing or of no record in the batch, means complete failure.

It does not cover polling rates, scaling, batching windows, throttled invocations and the retention of queues.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

type Json = dict[str, Any]
type Function = Callable[[Json], Any]
"""Receives the event of an invocation and answers, or raises `Died`."""


class Died(BaseException):
    """The invocation gave no answer; our code must not catch this."""


def failures(answer: Any, identifiers: Sequence[str]) -> set[str]:
    """Return which of a batch's records an answer with `ReportBatchItemFailures` leaves undone."""
    if answer is None or answer == {}:
        return set()
    listed = answer.get("batchItemFailures") if isinstance(answer, dict) else ()
    if listed is None or listed == []:
        return set()
    if not isinstance(listed, list):
        return set(identifiers)
    named = {one.get("itemIdentifier") if isinstance(one, dict) else None for one in listed}
    return {str(name) for name in named} if named <= set(identifiers) else set(identifiers)


# ---- the stream


@dataclass(frozen=True)
class Record:
    """A record of the stream; `at` in Unix milliseconds."""

    sequence: str
    at: int
    content: Json = field(repr=False)


@dataclass
class Batch:
    """Records that are processed together."""

    records: list[Record]
    retries: int = 0


@dataclass
class Lane:
    """Records of the same partition keys, in order."""

    waiting: deque[Record] = field(default_factory=deque)
    work: deque[Batch] = field(default_factory=deque)  # bisected or to be retried; before the waiting ones
    last: Batch | None = None
    busy: bool = False

    @property
    def is_empty(self) -> bool:
        return not self.waiting and not self.work


class StreamMapping:
    """The mapping of a table's stream to a function."""

    def __init__(
        self,
        function: Function,
        *,
        batch_size: int,
        max_retries: int,
        max_age: int,  # seconds
        give_up: Callable[[list[Record], str], None],
        clock: Callable[[], int],
    ) -> None:
        self._function = function
        self._batch_size = batch_size
        self._max_retries = max_retries
        self._max_age_ms = max_age * 1000
        self._give_up = give_up
        self._clock = clock
        self.lanes: dict[str, Lane] = {}
        self._sequence = 0

    def add(self, lane: str, content: Json) -> None:
        """Add a change of the table to the stream."""
        self._sequence += 1
        sequence = f"{self._sequence:021d}"
        content["dynamodb"]["SequenceNumber"] = sequence
        self.lanes.setdefault(lane, Lane()).waiting.append(Record(sequence, self._clock(), content))

    def ready(self) -> list[str]:
        """Return the lanes that have work to do."""
        return [name for name, lane in self.lanes.items() if not lane.is_empty and not lane.busy]

    def pending(self) -> list[Record]:
        """Return every record that has been neither processed nor given up."""
        return [
            record
            for lane in self.lanes.values()
            for records in (*(batch.records for batch in lane.work), lane.waiting)
            for record in records
        ]

    def repeat(self, lane: str) -> None:
        """Lose the checkpoint behind a lane's last batch."""
        found = self.lanes[lane]
        if found.last is not None and not found.busy:
            found.work.appendleft(Batch(found.last.records))
            found.last = None

    def poll(self, name: str, size: int | None = None) -> None:
        """Invoke the function with the next batch of a lane, of at most `size` records."""
        lane = self.lanes[name]
        batch = self._young(self._next(lane, size))
        if not batch.records:
            return
        lane.busy = True
        identifiers = [record.sequence for record in batch.records]
        try:
            undone = failures(
                self._function({"Records": [record.content for record in batch.records]}), identifiers
            )
            whole = undone == set(identifiers) and len(identifiers) > 1
        except Died:
            undone, whole = set(identifiers), True
        lane.busy = False
        if done := [record for record in batch.records if not undone or record.sequence < min(undone)]:
            lane.last = Batch(done)
        if undone:
            lane.work.extendleft(reversed(self._rest(batch, min(undone), whole=whole)))

    def exhaust(self, name: str) -> None:
        """Exhaust the retries of a lane's next batch, with invocations that die before they do anything."""
        batch = self._next(self.lanes[name])
        self._give_up(batch.records, "RetryAttemptsExhausted")

    def _next(self, lane: Lane, size: int | None = None) -> Batch:
        if lane.work:
            return lane.work.popleft()
        wanted = min(size or self._batch_size, self._batch_size, len(lane.waiting))
        return Batch([lane.waiting.popleft() for _ in range(wanted)])

    def _young(self, batch: Batch) -> Batch:
        """Give up records that are too old."""
        oldest = self._clock() - self._max_age_ms
        if aged := [record for record in batch.records if record.at < oldest]:
            self._give_up(aged, "MaxRecordAgeExceeded")
        return Batch([record for record in batch.records if record.at >= oldest], batch.retries)

    def _rest(self, batch: Batch, lowest: str, *, whole: bool) -> list[Batch]:
        """Return the batches that follow from one that did not succeed as a whole."""
        rest = [record for record in batch.records if record.sequence >= lowest]
        if whole and len(rest) > 1:
            middle = len(rest) // 2
            return [Batch(rest[:middle], batch.retries), Batch(rest[middle:], batch.retries)]
        if 0 <= self._max_retries <= batch.retries:
            self._give_up(rest, "RetryAttemptsExhausted")
            return []
        return [Batch(rest, batch.retries + 1)]


# ---- the queues


@dataclass
class Message:
    """A message as its queue keeps it."""

    id: str
    body: str
    visible_at: int  # Unix milliseconds
    receives: int = 0


class QueueMapping:
    """A queue and its mapping to a function."""

    def __init__(
        self,
        function: Function,
        *,
        batch_size: int,
        visibility: int,  # seconds
        max_receives: int,
        dead_letter: Callable[[Message], None],
        clock: Callable[[], int],
    ) -> None:
        self._function = function
        self._batch_size = batch_size
        self._visibility_ms = visibility * 1000
        self._max_receives = max_receives
        self._bury = dead_letter
        self._clock = clock
        self.messages: list[Message] = []
        self.removed: list[Message] = []

    def ready(self) -> list[Message]:
        """Return the messages that can be received now."""
        now = self._clock()
        return [message for message in self.messages if message.visible_at <= now]

    def repeat(self) -> None:
        """Deliver the last deleted message once more."""
        if self.removed:
            message = self.removed.pop()
            self.messages.append(Message(message.id, message.body, self._clock(), message.receives))

    def exhaust(self) -> None:
        """Exhaust the receives of all ready messages, with invocations that die before they do anything."""
        for message in self.ready():
            message.receives = self._max_receives

    def poll(self, size: int | None = None, *, first: int = 0) -> None:
        """Invoke the function with a batch of ready messages, starting at any of them."""
        ready = self.ready()
        turn = first % len(ready) if ready else 0
        batch = (ready[turn:] + ready[:turn])[: min(size or self._batch_size, self._batch_size)]
        for message in [one for one in batch if one.receives >= self._max_receives]:
            self.messages.remove(message)
            batch.remove(message)
            self._bury(message)
        if not batch:
            return
        for message in batch:
            message.receives += 1
            message.visible_at = self._clock() + self._visibility_ms
        try:
            undone = failures(
                self._function({"Records": [_record(message) for message in batch]}),
                [message.id for message in batch],
            )
        except Died:
            return
        for message in batch:
            if message.id not in undone:
                self.messages.remove(message)
                self.removed.append(message)


def _record(message: Message) -> Json:
    return {
        "messageId": message.id,
        "body": message.body,
        "attributes": {"ApproximateReceiveCount": str(message.receives)},
        "eventSource": "aws:sqs",
    }
