"""Stream records that come again: new work first, then the messages that must be lost, in the time that is left."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from posthorn.aws import clients
from posthorn.aws.queues import Queues
from posthorn.delivery.dispatch_plan import LOST_MS
from posthorn.delivery.dispatcher import QUEUE_MARGIN_MS
from posthorn.delivery.enqueue import unsent
from posthorn.domain.errors import Unavailable
from posthorn.domain.models import DeliveryKey, Event, Status
from posthorn.stores import batches, endpoint_rows
from posthorn.wiring.delivery import dispatcher
from tests.moto_account import listening
from tests.network import answers

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from posthorn.domain.models import Endpoint
    from tests.installation import Installation
    from tests.network import Received

HOST = "hooks.example.com"


@pytest.fixture
def timeline(posthorn: Installation) -> Iterator[list[str]]:
    """Note every call to DynamoDB and SQS, and every POST, in their order."""
    steps: list[str] = []

    def answer(received: Received) -> Any:
        steps.append("POST")
        return answers(200)(received)

    def note(model: Any, **_: object) -> None:
        steps.append(model.name)

    posthorn.network.receivers[HOST] = answer
    with ExitStack() as stack:
        for service in ("dynamodb", "sqs"):
            stack.enter_context(listening(service, "before-call", note))
        yield steps


def _endpoints(posthorn: Installation, count: int) -> list[Endpoint]:
    """Write many endpoints like one that was registered; registering each would take a minute."""
    posthorn.register(HOST)
    (first,) = posthorn.services.endpoints.of_channel(posthorn.workspace).endpoints
    copies = [replace(first, id=f"{first.id[:-4]}{number:04}") for number in range(1, count)]
    rows = [endpoint_rows.to_item(endpoint) for endpoint in copies]
    for chunk in batches.chunks(rows, batches.WRITE_LIMIT):
        batches.put(clients.client("dynamodb"), posthorn.tables["ConfigTable"], chunk)
    return [first, *copies]


def _new_work(posthorn: Installation) -> None:
    """Register five webhooks that have no deliveries yet."""
    for number in range(5):
        posthorn.register(f"new{number}.example.com")
        posthorn.network.receivers[f"new{number}.example.com"] = posthorn.network.receivers[HOST]


def _published(posthorn: Installation) -> tuple[Event, list[dict[str, Any]]]:
    event_id = posthorn.publish()
    event = posthorn.services.events.get(posthorn.workspace, event_id)
    assert isinstance(event, Event)
    return event, posthorn.stream()


def _queued(posthorn: Installation, event: Event, endpoints: Sequence[Endpoint]) -> None:
    """Write the rows of queued first attempts, as an earlier run of the event's record left them."""
    now = posthorn.clock()
    rows = [unsent(event, endpoint, Status.QUEUED, next_attempt_at=now) for endpoint in endpoints]
    for chunk in batches.chunks(rows, batches.WRITE_LIMIT):
        posthorn.deliveries.put_all(chunk, now_ms=now)


def _overdue(posthorn: Installation) -> None:
    posthorn.clock.pass_seconds(LOST_MS / 1000 + 1)


def _sends(steps: Sequence[str]) -> int:
    return sum(step.startswith("SendMessage") for step in steps)


def test_messages_of_overdue_rows_come_ten_a_call_after_new_work(
    posthorn: Installation, timeline: list[str]
) -> None:
    """Three hundred open rows take thirty calls, after the POSTs and rows of new work."""
    endpoints = _endpoints(posthorn, 305)
    _new_work(posthorn)
    event, records = _published(posthorn)
    _queued(posthorn, event, endpoints[:300])
    _overdue(posthorn)
    _queued(posthorn, event, endpoints[300:])  # not overdue: their messages are on their way
    timeline.clear()

    assert posthorn.dispatch(records) == set()

    new_work = [number for number, step in enumerate(timeline) if step in {"POST", "BatchWriteItem"}]
    first_message = timeline.index("SendMessageBatch")
    assert timeline.count("POST") == 5
    assert _sends(timeline) == timeline.count("SendMessageBatch") == 30
    assert max(new_work) < first_message
    messages = posthorn.take("DeliverQueue")
    assert {message.task["endpoint"] for message in messages} == {one.id for one in endpoints[:300]}
    assert len(messages) == 300


def test_a_message_counts_as_lost_once(posthorn: Installation, timeline: list[str]) -> None:
    """A record that comes again and again sends one message for each delivery, and the sweeper none on top."""
    endpoints = _endpoints(posthorn, 20)
    event, records = _published(posthorn)
    _queued(posthorn, event, endpoints)
    _overdue(posthorn)

    for _ in range(10):
        assert posthorn.dispatch(records) == set()
    posthorn.sweep()

    assert len(posthorn.waiting("DeliverQueue")) == 20
    assert "POST" not in timeline


def test_rows_that_are_not_overdue_cost_nothing(posthorn: Installation, timeline: list[str]) -> None:
    """While a busy queue delays attempts, a record that comes again adds no messages to it."""
    endpoints = _endpoints(posthorn, 120)
    event, records = _published(posthorn)
    _queued(posthorn, event, endpoints)
    posthorn.clock.pass_seconds(LOST_MS / 1000)
    timeline.clear()

    assert posthorn.dispatch(records) == set()

    assert timeline == ["Query", "BatchGetItem", "BatchGetItem"]


def test_a_row_that_a_worker_holds_gets_no_message(posthorn: Installation) -> None:
    """A delivery whose attempt is being made needs no message."""
    endpoints = _endpoints(posthorn, 2)
    event, records = _published(posthorn)
    _queued(posthorn, event, endpoints)
    _overdue(posthorn)
    held, other = (DeliveryKey(endpoint.id, event.id) for endpoint in endpoints)
    clients.client("dynamodb").update_item(
        TableName=posthorn.tables["DeliveriesTable"],
        Key={"pk": {"S": held.endpoint_id}, "sk": {"S": held.event_id}},
        UpdateExpression="SET lease_until = :until",
        ExpressionAttributeValues={":until": {"N": str(posthorn.clock() + 40_000)}},
    )

    assert posthorn.dispatch(records) == set()

    assert [message.task["endpoint"] for message in posthorn.waiting("DeliverQueue")] == [other.endpoint_id]


def test_lost_messages_wait_for_time_and_new_work_does_not_wait_for_them(
    posthorn: Installation, timeline: list[str]
) -> None:
    """Each run makes its new attempts and as much of the rest as its time allows; the sweeper does what is left."""
    endpoints = _endpoints(posthorn, 150)
    _new_work(posthorn)
    event, records = _published(posthorn)
    _queued(posthorn, event, endpoints)
    _overdue(posthorn)
    left = 60_000

    def remaining_ms() -> int:
        return left if "SendMessageBatch" not in timeline else left - 54_950 - 10 * _sends(timeline)

    timeline.clear()
    first = posthorn.dispatcher.dispatch(records, remaining_ms=remaining_ms)

    assert first == set()  # nothing is lost: the sweeper finds overdue rows, too
    assert timeline.count("POST") == 5
    sent = len(posthorn.waiting("DeliverQueue"))
    assert sent == 100
    assert remaining_ms() < QUEUE_MARGIN_MS

    timeline.clear()
    assert posthorn.dispatcher.dispatch(records, remaining_ms=lambda: 60_000) == set()
    assert len(posthorn.waiting("DeliverQueue")) == 150
    assert "POST" not in timeline


def _sqs_is_down(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object, **__: object) -> None:
        raise Unavailable("send_message", "ServiceUnavailable")

    monkeypatch.setattr(Queues, "enqueue", fail)
    monkeypatch.setattr(Queues, "enqueue_all", lambda _, rows, **__: list(rows))


@pytest.mark.parametrize("remaining_ms", [60_000, 19_000])  # a first retry, and a queued first attempt
def test_a_process_remembers_messages_that_it_could_not_send(
    posthorn: Installation, monkeypatch: pytest.MonkeyPatch, remaining_ms: int
) -> None:
    """While SQS is down the record comes again, and its first run after that sends the message."""
    posthorn.register(HOST)
    posthorn.network.receivers[HOST] = answers(500)
    _, records = _published(posthorn)
    name = {records[0]["dynamodb"]["SequenceNumber"]}
    with monkeypatch.context() as broken:
        _sqs_is_down(broken)
        assert posthorn.dispatch(records, remaining_ms=remaining_ms) == name
        assert posthorn.dispatch(records) == name
    assert posthorn.dispatch(records, remaining_ms=QUEUE_MARGIN_MS - 1) == name

    assert posthorn.dispatch(records) == set()
    assert posthorn.dispatch(records) == set()

    messages = posthorn.waiting("DeliverQueue") + posthorn.waiting("Retry1MinQueue")
    assert len(messages) == 1
    assert len(posthorn.network.received) == (1 if remaining_ms == 60_000 else 0)


def test_a_message_that_its_process_forgot_is_left_to_the_sweeper(
    posthorn: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A new process cannot know that a message is missing until the delivery is overdue."""
    posthorn.register(HOST)
    posthorn.network.receivers[HOST] = answers(500)
    _, records = _published(posthorn)
    with monkeypatch.context() as broken:
        _sqs_is_down(broken)
        assert len(posthorn.dispatch(records)) == 1
    reborn = dispatcher(posthorn.settings, network=posthorn.network, clock=posthorn.clock)

    assert reborn.dispatch(records, remaining_ms=lambda: 60_000) == set()
    assert posthorn.waiting("Retry1MinQueue") == []

    posthorn.clock.pass_seconds(60 + LOST_MS / 1000 + 1)
    assert posthorn.sweep().enqueued == 1
    (message,) = posthorn.waiting("Retry1MinQueue")
    assert message.task["attempt"] == 2
