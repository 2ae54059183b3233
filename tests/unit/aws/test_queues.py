"""Queue messages: which queue they are sent to, when they become visible, and what is malformed."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

import boto3
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from moto import mock_aws
from moto.sqs.models import sqs_backends

from posthorn.aws.messages import (
    DeliveryMessage,
    NewRow,
    RecordedAttempt,
    read_message,
    read_step,
    write_message,
    write_step,
)
from posthorn.aws.queues import BATCH_BYTES, DeadLetterQueue, Queues, ReplayQueue
from posthorn.domain.errors import Malformed, Unavailable
from posthorn.domain.ids import EVENT, REPLAY, WEBHOOK, new_id
from posthorn.domain.models import Attempt, Delivery, DeliveryKey, Outcome, Status, Timings
from posthorn.domain.replay_job import ReplayStep
from posthorn.stores import delivery_rows
from posthorn.transport.response import SNIPPET_BYTES, VALUE_CHARACTERS
from tests.aws import ACCOUNT, REGION, create_queues

if TYPE_CHECKING:
    from collections.abc import Iterator

    from posthorn.aws.messages import QueueMessage

NOW_MS: Final = 1_681_659_900_000
MESSAGE: Final = DeliveryMessage(
    key=DeliveryKey("wh_01GY5BMP7FBC0DKZTXDZJ7EQ6S", "evt_01GY5BMP7FBC0DKZTXDZJ7EQ6S"),
    channel="wksp_01GY5BMP7FBC0DKZTXDZJ7EQ6S",
    generation=1,
    attempt=2,
)
BODY: Final[dict[str, Any]] = json.loads(write_message(MESSAGE))
ARRIVAL_QUEUES: Final = {
    1: "DeliverQueue",
    2: "Retry1MinQueue",
    3: "Retry5MinQueue",
    4: "Retry15MinQueue",
}

ids: Final = st.builds(
    new_id,
    st.sampled_from([EVENT, WEBHOOK]),
    now_ms=st.integers(0, 2**48 - 1),
    entropy=st.binary(min_size=10, max_size=10),
)


class Sqs:
    """The queues of the template, with methods to read their contents."""

    def __init__(self) -> None:
        self.client = boto3.client("sqs")
        self.urls = create_queues(self.client)
        retries = [self.urls[name] for name in ("Retry1MinQueue", "Retry5MinQueue", "Retry15MinQueue")]
        self.queues = Queues(self.client, self.urls["DeliverQueue"], retries)

    def messages(self, queue: str) -> list[Any]:
        """Return the messages of a queue, including those that are still delayed."""
        name = self.urls[queue].rsplit("/", 1)[1]
        found: list[Any] = sqs_backends[ACCOUNT][REGION].queues[name]._messages
        return found

    def only(self) -> tuple[str, Any]:
        """Return the only message and its queue."""
        ((queue, message),) = [(name, one) for name in self.urls for one in self.messages(name)]
        return queue, message


@pytest.fixture
def sqs() -> Iterator[Sqs]:
    with mock_aws():
        yield Sqs()


def delay_of(message: Any) -> int:
    delay: float = (message.delayed_until - message.sent_timestamp) / 1000
    return round(delay)


# ---- the text of a message


@given(
    endpoint_id=ids,
    event_id=ids.filter(lambda one: one.startswith(EVENT)),
    generation=st.integers(1, 10_000),
    attempt=st.integers(1, 4),
)
def test_a_delivery_message_comes_back_as_it_was(
    endpoint_id: str, event_id: str, generation: int, attempt: int
) -> None:
    """A delivery message is read back as it was sent."""
    message = DeliveryMessage(
        DeliveryKey(endpoint_id, event_id), MESSAGE.channel, generation=generation, attempt=attempt
    )
    assert read_message(write_message(message)) == message


def test_a_message_holds_ids_and_numbers_only() -> None:
    """A message holds no payload, URL or secret."""
    expected = {
        "v": 1,
        "endpoint": MESSAGE.key.endpoint_id,
        "event": MESSAGE.key.event_id,
        "channel": MESSAGE.channel,
        "generation": 1,
        "attempt": 2,
    }
    assert expected == BODY


@pytest.mark.parametrize(
    "body",
    [
        "",
        "x",
        "null",
        "[]",
        '"text"',
        "1",
        "{}",
        "{",
        "[" * 100_000,
        '{"v":' + "1" * 5000 + "}",
    ],
    ids=lambda body: body[:20],
)
def test_other_texts_are_malformed(body: str) -> None:
    """Text that is not a delivery message is malformed."""
    with pytest.raises(Malformed):
        read_message(body)


@pytest.mark.parametrize("name", BODY)
def test_a_message_that_lacks_something_is_malformed(name: str) -> None:
    """A message with a missing field is malformed; no value is made up."""
    with pytest.raises(Malformed, match=name):
        read_message(json.dumps({key: value for key, value in BODY.items() if key != name}))


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("v", 2),
        ("v", 0),
        ("v", "1"),
        ("v", True),
        ("v", 1.0),
        ("v", None),
        ("endpoint", ""),
        ("endpoint", 5),
        ("endpoint", None),
        ("endpoint", ["wh_1"]),
        ("event", ""),
        ("event", "evt_1"),
        ("event", MESSAGE.key.endpoint_id),
        ("event", f"{MESSAGE.key.event_id}\n"),
        ("event", None),
        ("channel", ""),
        ("channel", 5),
        ("generation", 0),
        ("generation", -1),
        ("generation", True),
        ("generation", "1"),
        ("generation", 1.5),
        ("attempt", 0),
        ("attempt", -1),
        ("attempt", True),
        ("attempt", "2"),
        ("attempt", None),
    ],
)
def test_a_message_with_a_wrong_field_is_malformed(name: str, value: object) -> None:
    """A message whose version, id or number is out of range is malformed."""
    with pytest.raises(Malformed):
        read_message(json.dumps({**BODY, name: value}))


@pytest.mark.parametrize("name", ["endpoint", "channel"])
def test_half_a_character_in_an_id_is_malformed(name: str) -> None:
    """A lone surrogate, which DynamoDB would refuse together with its batch, is malformed."""
    body = json.dumps({**BODY, name: "@"}).replace("@", "\\ud800")
    with pytest.raises(Malformed):
        read_message(body)


_values: Final = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=5)
    | st.just(MESSAGE.key.event_id)
    | st.lists(st.integers(), max_size=2)
)


@given(body=st.text(max_size=30) | st.dictionaries(st.sampled_from(sorted(BODY)), _values).map(json.dumps))
@example('{"v":1e999}')
def test_any_text_is_a_delivery_message_or_malformed(body: str) -> None:
    """Any text is a delivery message or malformed; no other exception is raised."""
    try:
        message = read_message(body)
    except Malformed:
        return
    assert read_message(write_message(message)) == message


# ---- which queue a message is sent to


@pytest.mark.parametrize(("attempt", "queue"), ARRIVAL_QUEUES.items())
def test_each_attempt_waits_on_a_queue_of_its_own(sqs: Sqs, attempt: int, queue: str) -> None:
    """The first attempt is due at once; each retry waits in the queue of its delay."""
    message = replace(MESSAGE, attempt=attempt)
    sqs.queues.enqueue(message, due_at=None, now_ms=NOW_MS)
    arrived_at, arrived = sqs.only()
    assert arrived_at == queue
    assert read_message(arrived.body) == message


def test_an_attempt_beyond_the_schedule_takes_the_last_queue(sqs: Sqs) -> None:
    """A row written under a longer retry schedule still finds a queue."""
    sqs.queues.enqueue(replace(MESSAGE, attempt=9), due_at=None, now_ms=NOW_MS)
    assert sqs.only()[0] == "Retry15MinQueue"


@pytest.mark.parametrize(
    ("due_in_ms", "delay"),
    [
        (1, 1),
        (999, 1),
        (1000, 1),
        (1001, 2),
        (60_000, 60),
        (300_000, 300),
        (900_000, 900),
        (900_001, 900),
        (86_400_000, 900),
    ],
)
def test_a_retry_becomes_visible_when_it_is_due(sqs: Sqs, due_in_ms: int, delay: int) -> None:
    """A retry is never visible a second early, unless its delay exceeds the maximum that SQS allows."""
    sqs.queues.enqueue(MESSAGE, due_at=NOW_MS + due_in_ms, now_ms=NOW_MS)
    assert delay_of(sqs.only()[1]) == delay


@pytest.mark.parametrize("due_at", [None, NOW_MS, NOW_MS - 1, NOW_MS - 60_000, 0])
def test_due_messages_are_visible_at_once(sqs: Sqs, due_at: int | None) -> None:
    """A message with no due time, or one in the past, is visible at once."""
    # in the queue without a default delay: in the others, moto ignores an explicit 0
    sqs.queues.enqueue(replace(MESSAGE, attempt=1), due_at=due_at, now_ms=NOW_MS)
    (received,) = sqs.client.receive_message(QueueUrl=sqs.urls["DeliverQueue"])["Messages"]
    assert read_message(received["Body"]).key == MESSAGE.key


def test_the_messages_of_one_endpoint_are_one_group(sqs: Sqs) -> None:
    """Each endpoint is one message group: fair queues keep its backlog from delaying other endpoints."""
    sqs.queues.enqueue(MESSAGE, due_at=None, now_ms=NOW_MS)
    assert sqs.only()[1].group_id == MESSAGE.key.endpoint_id


def test_a_dead_letter_says_why(sqs: Sqs) -> None:
    """A dead letter carries the reason as an attribute, beside the text that could not be read."""
    dead_letters = DeadLetterQueue(sqs.client, sqs.urls["DispatchDeadLetterQueue"])
    dead_letters.put({"kind": "message", "body": "{"}, reason="the message is not JSON")
    queue, message = sqs.only()
    assert queue == "DispatchDeadLetterQueue"
    assert json.loads(message.body) == {
        "v": 1,
        "kind": "message",
        "body": "{",
        "reason": "the message is not JSON",
    }


def test_a_queue_that_is_gone_is_an_outage(sqs: Sqs) -> None:
    """A message that cannot be sent raises `Unavailable`, so the caller retries."""
    sqs.client.delete_queue(QueueUrl=sqs.urls["Retry1MinQueue"])
    with pytest.raises(Unavailable) as failed:
        sqs.queues.enqueue(MESSAGE, due_at=None, now_ms=NOW_MS)
    assert failed.value.operation == "send_message"


# ---- batches


def no_error(error: Unavailable) -> None:
    raise AssertionError(error)


def _queued(count: int) -> list[Delivery]:
    return [
        Delivery(
            DeliveryKey(MESSAGE.key.endpoint_id, new_id(EVENT, now_ms=NOW_MS + number, entropy=bytes(10))),
            channel=MESSAGE.channel,
            event_type="CONTACT_CREATED",
            status=Status.QUEUED,
            attempt=0,
            generation=2,
            next_attempt_at=NOW_MS,
        )
        for number in range(count)
    ]


@pytest.mark.parametrize("count", [0, 1, 10, 11, 25])
def test_batches_and_single_messages_are_the_same(sqs: Sqs, count: int) -> None:
    """Sent in batches of ten or one by one, messages have the same text, delay and group."""
    rows = _queued(count)
    sqs.queues.enqueue_all(rows, now_ms=NOW_MS, on_error=no_error)
    together = sorted((one.body, one.group_id) for one in sqs.messages("DeliverQueue"))
    sqs.messages("DeliverQueue").clear()
    for row in rows:
        sqs.queues.enqueue_next(row, now_ms=NOW_MS)
    assert together == sorted((one.body, one.group_id) for one in sqs.messages("DeliverQueue"))
    assert len(together) == count


def test_each_row_waits_in_the_queue_of_its_attempt(sqs: Sqs) -> None:
    """First attempts and retries may be sent in one call."""
    first, second = _queued(2)
    retrying = replace(second, status=Status.RETRYING, attempt=1, next_attempt_at=NOW_MS + 60_000)
    sqs.queues.enqueue_all([first, retrying], now_ms=NOW_MS, on_error=no_error)
    assert len(sqs.messages("DeliverQueue")) == 1
    (retry,) = sqs.messages("Retry1MinQueue")
    assert delay_of(retry) == 60


class Refusing:
    """An SQS that refuses the first entry of each batch, a given number of times."""

    def __init__(self, sqs: Any, times: int) -> None:
        self._sqs = sqs
        self._times = times
        self.calls = 0

    def send_message_batch(self, **request: Any) -> dict[str, Any]:
        self.calls += 1
        entries = request["Entries"]
        if self.calls > self._times:
            return dict(self._sqs.send_message_batch(**request))
        if entries[1:]:
            self._sqs.send_message_batch(**{**request, "Entries": entries[1:]})
        return {"Failed": [{"Id": entries[0]["Id"], "Code": "ThrottlingException", "SenderFault": False}]}


def test_refused_entries_of_a_batch_are_sent_again(sqs: Sqs, monkeypatch: pytest.MonkeyPatch) -> None:
    """When SQS refuses part of a batch, only that part is sent again, and every message is sent once."""
    monkeypatch.setattr("time.sleep", lambda _: None)
    refusing: Any = Refusing(sqs.client, times=2)
    rows = _queued(5)
    Queues(refusing, sqs.urls["DeliverQueue"]).enqueue_all(rows, now_ms=NOW_MS, on_error=no_error)
    sent = [read_message(one.body).key for one in sqs.messages("DeliverQueue")]
    assert sorted(key.event_id for key in sent) == [row.key.event_id for row in rows]


def test_permanently_refused_entries_are_returned(sqs: Sqs, monkeypatch: pytest.MonkeyPatch) -> None:
    """After a few rounds, exactly the rows whose messages could not be sent are returned."""
    monkeypatch.setattr("time.sleep", lambda _: None)
    refusing: Any = Refusing(sqs.client, times=1000)
    rows = _queued(3)
    unsent = Queues(refusing, sqs.urls["DeliverQueue"]).enqueue_all(rows, now_ms=NOW_MS, on_error=no_error)
    assert unsent == rows[:1]
    assert 1 < refusing.calls < 20


# ---- attempts that DynamoDB refused

FIRST: Final = replace(MESSAGE, attempt=1, new_row=NewRow("contact.created", is_test=True))


def _recorded(number: int = 0, *, snippet: str = "busy", header: str = "x") -> RecordedAttempt:
    """Return the result of a failed first attempt, as large as its receiver made it."""
    headers = tuple((f"x-header-{position}", header * VALUE_CHARACTERS) for position in range(11))
    outcome = Outcome(Timings(1, 2, 3, 4, 5), status=503, headers=headers, snippet=snippet)
    (row,) = _queued(number + 1)[number:]
    made = replace(row, status=Status.RETRYING, attempt=1, attempts=(Attempt(1, NOW_MS, outcome),))
    return RecordedAttempt(
        made.key, made.channel, generation=made.generation, attempt=1, row=delivery_rows.to_item(made)
    )


@pytest.mark.parametrize(
    "message", [FIRST, replace(FIRST, moved=True), _recorded()], ids=["first", "moved", "result"]
)
def test_what_dynamodb_refused_comes_back_as_it_was(sqs: Sqs, message: QueueMessage) -> None:
    """A first attempt without a row, and a result whose row was refused, wait in DeliverQueue."""
    assert sqs.queues.send_all([message], delay=20, on_error=no_error) == []
    queue, arrived = sqs.only()
    assert (queue, delay_of(arrived), arrived.group_id) == ("DeliverQueue", 20, message.key.endpoint_id)
    assert read_message(arrived.body) == message


@pytest.mark.parametrize(
    "change",
    [
        {"kind": "something_else"},
        {"kind": 7},
        {"kind": "first_attempt"},
        {"kind": "first_attempt", "event_type": ""},
        {"kind": "recorded_attempt"},
        {"kind": "recorded_attempt", "row": []},
        {"kind": "recorded_attempt", "row": {}},
        {"kind": "recorded_attempt", "row": {"pk": {"S": "x"}, "attempt": {"N": "one"}}},
    ],
)
def test_a_kind_that_is_not_whole_is_malformed(change: dict[str, Any]) -> None:
    """A message of an unknown kind, or without what its kind needs, is malformed; it is never read as another kind."""
    with pytest.raises(Malformed):
        read_message(json.dumps({**BODY, **change}))


def test_the_largest_results_fit_into_their_calls(sqs: Sqs) -> None:
    """The most that is kept of a receiver's answer takes a sixth of a call; twenty of them take more calls."""
    largest = [
        _recorded(number, snippet="\ufffd" * SNIPPET_BYTES, header="\U0001f600") for number in range(20)
    ]
    assert max(len(write_message(one)) for one in largest) * 6 < BATCH_BYTES
    sizes: list[int] = []

    def measure(params: dict[str, Any], **_: object) -> None:
        sizes.append(sum(len(entry["MessageBody"]) for entry in params["Entries"]))

    sqs.client.meta.events.register("provide-client-params.sqs.SendMessageBatch", measure)

    assert sqs.queues.send_all(largest, delay=0, on_error=no_error) == []
    assert len(sqs.messages("DeliverQueue")) == 20
    assert max(sizes) <= BATCH_BYTES < sum(sizes)


# ---- replay steps

STEP: Final = ReplayStep(MESSAGE.key.endpoint_id, new_id(REPLAY, now_ms=NOW_MS, entropy=bytes(10)), number=3)


def test_a_step_comes_back_as_it_was(sqs: Sqs) -> None:
    """A replay step is read back as it was sent, with its delay and its group."""
    ReplayQueue(sqs.client, sqs.urls["ReplayQueue"]).send(STEP, delay=2)
    queue, message = sqs.only()
    assert (queue, delay_of(message), message.group_id) == ("ReplayQueue", 2, STEP.endpoint_id)
    assert read_step(message.body) == STEP


@pytest.mark.parametrize(
    "change",
    [
        {"v": 2},
        {"endpoint": ""},
        {"replay": MESSAGE.key.event_id},
        {"replay": None},
        {"step": 0},
        {"step": "1"},
    ],
)
def test_other_texts_are_not_replay_steps(change: dict[str, Any]) -> None:
    """A message with another version or other content is malformed."""
    with pytest.raises(Malformed):
        read_step(json.dumps({**json.loads(write_step(STEP)), **change}))


def test_delivery_messages_and_replay_steps_are_told_apart() -> None:
    """A message in the wrong queue is malformed, not misread."""
    with pytest.raises(Malformed):
        read_step(write_message(MESSAGE))
    with pytest.raises(Malformed):
        read_message(write_step(STEP))
