"""The model of event source mappings follows AWS's documentation. The proof of no lost event relies on it."""

from __future__ import annotations

from typing import Any

import pytest

from tests.mappings import Died, Message, QueueMapping, StreamMapping, failures


class Function:
    """A function that answers or dies as configured, and records the batches it was given."""

    def __init__(self, *answers: Any) -> None:
        self.answers = list(answers)
        self.given: list[list[str]] = []

    def __call__(self, event: dict[str, Any]) -> Any:
        self.given.append([_name(record) for record in event["Records"]])
        answer = self.answers.pop(0) if self.answers else None
        if answer is Died:
            raise Died
        return answer


def _name(record: dict[str, Any]) -> str:
    name: str = record["messageId"] if "messageId" in record else record["dynamodb"]["SequenceNumber"][-1]
    return name


def _failed(*names: Any) -> dict[str, Any]:
    return {"batchItemFailures": [{"itemIdentifier": name} for name in names]}


def _stream(function: Function, records: int, *, max_retries: int = 2) -> tuple[StreamMapping, list[str]]:
    given_up: list[str] = []
    stream = StreamMapping(
        function,
        batch_size=10,
        max_retries=max_retries,
        max_age=3600,
        give_up=lambda lost, why: given_up.extend(f"{one.sequence[-1]} {why}" for one in lost),
        clock=lambda: 0,
    )
    for _ in range(records):
        stream.add("lane", {"dynamodb": {}})
    return stream, given_up


@pytest.mark.parametrize("answer", [None, {}, {"batchItemFailures": []}, {"batchItemFailures": None}])
def test_answers_that_mean_success(answer: Any) -> None:
    """No answer, an empty answer and an empty list all mean success."""
    assert failures(answer, ["1", "2"]) == set()


@pytest.mark.parametrize(
    "answer",
    [_failed(""), _failed(None), _failed("3"), _failed("1", "3"), {"batchItemFailures": [{"key": "1"}]}],
)
def test_answers_that_mean_failure(answer: Any) -> None:
    """An identifier that is empty, missing or unknown fails the whole batch."""
    assert failures(answer, ["1", "2"]) == {"1", "2"}


def test_a_partial_answer_checkpoints_at_the_lowest_number() -> None:
    """Everything from the first failure on is retried before new records, even records that succeeded."""
    function = Function(_failed(f"{2:021d}"))
    stream, _ = _stream(function, 3)

    stream.poll("lane")
    stream.add("lane", {"dynamodb": {}})
    stream.poll("lane")
    stream.poll("lane")

    assert function.given == [["1", "2", "3"], ["2", "3"], ["4"]]
    assert stream.ready() == []


def test_a_batch_that_dies_is_cut_until_the_culprit_is_alone_and_given_up() -> None:
    """Bisecting a batch costs no retry; the failing record exhausts its retries, the others continue."""
    stream, given_up = _stream(Function(Died, None, Died, Died, Died), 2)
    stream.poll("lane")
    while stream.ready():
        stream.poll("lane")

    assert given_up == ["2 RetryAttemptsExhausted"]


def test_without_a_limit_retries_do_not_end() -> None:
    """With -1, only a record's age ends its retries."""
    stream, given_up = _stream(Function(*[Died] * 100), 1, max_retries=-1)

    for _ in range(100):
        stream.poll("lane")

    assert given_up == []
    assert [record.sequence for record in stream.pending()] == [f"{1:021d}"]


def test_a_lost_checkpoint_brings_the_last_batch_again() -> None:
    """A stream delivers at least once."""
    function = Function()
    stream, _ = _stream(function, 2)

    stream.poll("lane")
    stream.repeat("lane")
    stream.poll("lane")

    assert function.given == [["1", "2"], ["1", "2"]]


def test_a_message_that_fails_is_hidden_and_ends_in_the_dead_letter_queue() -> None:
    """A failing message is received as often as the queue allows, a visibility timeout apart; its neighbor is deleted."""
    now, buried = [0], list[Message]()
    function = Function(_failed("bad"), *[Died] * 4)
    queue = QueueMapping(
        function,
        batch_size=10,
        visibility=180,
        max_receives=5,
        dead_letter=buried.append,
        clock=lambda: now[0],
    )
    queue.messages = [Message("good", "", 0), Message("bad", "", 0)]

    for _ in range(6):
        queue.poll()
        queue.poll()  # nothing is visible
        now[0] += 180_000

    assert function.given == [["good", "bad"], *[["bad"]] * 4]
    assert [message.id for message in buried] == ["bad"]
    assert queue.messages == []
