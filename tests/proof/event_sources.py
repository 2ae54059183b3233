"""The event source mappings, with the values that the template gives them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from tests.mappings import QueueMapping, StreamMapping
from tests.template import QUEUE, load, resolve

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.mappings import Function, Message, Record

DELIVER_QUEUES: Final = ("DeliverQueue", "Retry1MinQueue", "Retry5MinQueue", "Retry15MinQueue")
FEEDBACK_QUEUE: Final = "FeedbackQueue"
REPLAY_QUEUE: Final = "ReplayQueue"
QUEUES: Final = (*DELIVER_QUEUES, FEEDBACK_QUEUE, REPLAY_QUEUE)
DEAD_LETTER_QUEUES: Final = (
    "DispatchDeadLetterQueue",
    "DeliverDeadLetterQueue",
    "FeedbackDeadLetterQueue",
    "ReplayDeadLetterQueue",
)


def stream_mapping(
    function: Function, *, give_up: Callable[[list[Record], str], None], clock: Callable[[], int]
) -> StreamMapping:
    """Return the mapping of the stream of accepted events."""
    found = load().resources["DispatchFunction"]["Properties"]["Events"]["AcceptedEvents"]["Properties"]
    return StreamMapping(
        function,
        batch_size=found["BatchSize"],
        max_retries=found["MaximumRetryAttempts"],
        max_age=found["MaximumRecordAgeInSeconds"],
        give_up=give_up,
        clock=clock,
    )


def queue_mapping(
    queue: str, function: Function, *, dead_letter: Callable[[Message], None], clock: Callable[[], int]
) -> QueueMapping:
    """Return the mapping of one queue."""
    found = resolve(load().of_type(QUEUE)[queue], _Physical(load().defaults))
    return QueueMapping(
        function,
        batch_size=_batch_size(queue),
        visibility=found["VisibilityTimeout"],
        max_receives=found["RedrivePolicy"]["maxReceiveCount"],
        dead_letter=dead_letter,
        clock=clock,
    )


def _batch_size(queue: str) -> int:
    (size,) = {
        source["Properties"]["BatchSize"]
        for resource in load().resources.values()
        for source in resource.get("Properties", {}).get("Events", {}).values()
        if source["Properties"].get("Queue") == {"Fn::GetAtt": [queue, "Arn"]}
    }
    return int(size)


class _Physical(dict[str, str]):
    """Physical names for resources that no mapping needs."""

    def __missing__(self, name: str) -> str:
        return name
