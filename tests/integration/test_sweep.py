"""The sweeper sends a new message for each delivery whose message was lost, and for no other."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import TYPE_CHECKING, Any
from unittest import mock

import pytest
from botocore.client import BaseClient
from botocore.exceptions import ClientError

from posthorn.aws import clients
from posthorn.delivery import sweeper
from posthorn.delivery.sweeper import Swept
from posthorn.domain.errors import Unavailable
from posthorn.domain.ids import EVENT, shard_of
from posthorn.domain.models import Delivery, DeliveryKey, Failure, Reason, Status
from posthorn.stores import delivery_rows
from posthorn.stores.delivery_rows import Lease
from tests.network import answers, fails, in_turn

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tests.installation import Installation

GRACE = 600
QUEUES = ("DeliverQueue", "Retry1MinQueue", "Retry5MinQueue", "Retry15MinQueue")


def _lost(posthorn: Installation) -> DeliveryKey:
    """Make a failing first attempt and lose its message."""
    webhook = posthorn.register()
    posthorn.network.receivers["hooks.example.com"] = in_turn(answers(500), answers(200))
    event_id = posthorn.publish()
    assert posthorn.dispatch() == set()
    posthorn.take("Retry1MinQueue")
    return DeliveryKey(webhook["id"], event_id)


def _row(posthorn: Installation, key: DeliveryKey) -> Delivery:
    row = posthorn.row(key)
    assert row is not None
    return row


def _overdue(posthorn: Installation, count: int, *, attempt: int = 0) -> list[Delivery]:
    """Write that many overdue rows without messages, each due one millisecond after the previous one."""
    rows = [
        Delivery(
            key=DeliveryKey("wh_01GY5BVC30BPC335BN0KCGXRQ8", posthorn.services.new_id(EVENT)),
            channel=posthorn.workspace,
            event_type="CONTACT_CREATED",
            status=Status.RETRYING if attempt else Status.QUEUED,
            attempt=attempt,
            next_attempt_at=posthorn.clock() + number,
        )
        for number in range(count)
    ]
    for start in range(0, count, 25):
        posthorn.deliveries.put_all(rows[start : start + 25], now_ms=posthorn.clock())
    return rows


def _messages(posthorn: Installation) -> list[str]:
    return sorted(
        f"{message.task['event']} {message.task['attempt']}"
        for queue in QUEUES
        for message in posthorn.waiting(queue)
    )


def test_a_lost_message_is_sent_again_and_delivers(posthorn: Installation) -> None:
    """The delivery makes its attempt after all, with the same number."""
    key = _lost(posthorn)
    posthorn.clock.pass_seconds(60 + GRACE)
    early = posthorn.sweep()
    posthorn.clock.pass_seconds(0.001)

    swept = posthorn.sweep()

    (message,) = posthorn.take("Retry1MinQueue")
    assert (early, swept) == (Swept(), Swept(enqueued=1))
    assert (message.task["attempt"], message.delay, message.group) == (2, 0, key.endpoint_id)
    assert posthorn.deliver([message]) == set()
    assert _row(posthorn, key).status is Status.DELIVERED


@pytest.mark.parametrize(
    ("attempt", "queue"),
    [(0, "DeliverQueue"), (1, "Retry1MinQueue"), (2, "Retry5MinQueue"), (3, "Retry15MinQueue")],
)
def test_every_attempt_goes_to_its_own_queue(posthorn: Installation, attempt: int, queue: str) -> None:
    """Queued rows go to DeliverQueue and retries to the queue of their attempt."""
    (row,) = _overdue(posthorn, 1, attempt=attempt)
    posthorn.clock.pass_seconds(GRACE + 1)

    posthorn.sweep()

    (message,) = posthorn.waiting(queue)
    assert (message.task["event"], message.task["attempt"]) == (row.key.event_id, attempt + 1)


def test_the_next_run_does_not_send_it_again(posthorn: Installation) -> None:
    """An enqueued row gets a new grace period; if this message is lost too, it is found afterwards."""
    _overdue(posthorn, 30)
    posthorn.clock.pass_seconds(GRACE + 1)

    runs = [posthorn.sweep().enqueued]
    posthorn.clock.pass_seconds(GRACE)
    runs.append(posthorn.sweep().enqueued)
    posthorn.clock.pass_seconds(1)
    runs.append(posthorn.sweep().enqueued)

    assert runs == [30, 0, 30]


def test_two_sweepers_at_once_send_one_message(posthorn: Installation) -> None:
    """The sweeper that moves the row sends the message; the other finds the row moved."""
    rows = _overdue(posthorn, 300)
    posthorn.clock.pass_seconds(GRACE + 1)

    with ThreadPoolExecutor(2) as both:
        runs = list(both.map(lambda _: posthorn.sweep(), range(2)))

    assert sum(run.enqueued for run in runs) == 300
    assert _messages(posthorn) == sorted(f"{row.key.event_id} 1" for row in rows)


def test_a_claimed_delivery_is_skipped(posthorn: Installation) -> None:
    """A live claim means that a worker is busy; an expired claim is ignored."""
    key = _lost(posthorn)
    posthorn.clock.pass_seconds(60 + GRACE + 1)
    now = posthorn.clock()
    posthorn.deliveries.claim(
        key, generation=1, attempt=2, now_ms=now, lease=Lease(now + 40_000, "a worker", 0)
    )

    held = posthorn.sweep()
    posthorn.clock.pass_seconds(41)
    after = posthorn.sweep()

    assert (held, after) == (Swept(left=1), Swept(enqueued=1))


def test_a_settled_delivery_is_skipped(posthorn: Installation) -> None:
    """Delivered and failed rows are not read, and one that the index still lists as open is skipped."""
    webhook = posthorn.register()
    posthorn.network.receivers["hooks.example.com"] = in_turn(answers(200), answers(404))
    posthorn.publish()
    posthorn.publish()
    posthorn.dispatch()
    (stale,) = _overdue(posthorn, 1)
    settled = replace(stale, status=Status.FAILED, reason=Reason.REJECTED, attempt=1, next_attempt_at=None)
    posthorn.clock.pass_seconds(GRACE + 1)
    page = posthorn.sweeper._due.page

    def settle_meanwhile(*args: Any, **options: Any) -> Any:
        found = page(*args, **options)
        if found[0]:
            posthorn.deliveries.put_all([settled], now_ms=posthorn.clock())
        return found

    with mock.patch.object(posthorn.sweeper._due, "page", settle_meanwhile):
        swept = posthorn.sweep()

    assert swept == Swept(left=1)
    assert _messages(posthorn) == []
    assert _row(posthorn, stale.key) == settled
    assert webhook["enabled"]


def test_the_worker_settles_a_delivery_without_an_endpoint(posthorn: Installation) -> None:
    """The sweeper does not check event and endpoint; DeliverFunction settles the delivery."""
    (row,) = _overdue(posthorn, 1)
    posthorn.clock.pass_seconds(GRACE + 1)
    posthorn.sweep()

    assert posthorn.deliver(posthorn.take("DeliverQueue")) == set()

    assert _row(posthorn, row.key).reason is Reason.ENDPOINT_DELETED


def test_an_unreadable_row_does_not_hide_others(posthorn: Installation) -> None:
    """A row of a later version is logged and skipped; its neighbors get their messages."""
    rows = _overdue(posthorn, 3)
    clients.client("dynamodb").update_item(
        TableName=posthorn.tables["DeliveriesTable"],
        Key=delivery_rows.key_of(rows[0].key),
        UpdateExpression="SET v = :later",
        ExpressionAttributeValues={":later": {"N": "99"}},
    )
    posthorn.clock.pass_seconds(GRACE + 1)

    assert posthorn.sweep() == Swept(enqueued=2, left=1)


def test_a_run_ends_in_time(posthorn: Installation) -> None:
    """Without time left no page is started, and the run reports that it is incomplete."""
    _overdue(posthorn, 3)
    posthorn.clock.pass_seconds(GRACE + 1)

    assert posthorn.sweep(remaining_ms=sweeper.MARGIN_MS - 1) == Swept(complete=False)
    assert _messages(posthorn) == []


def test_thousands_are_worked_off_in_bounded_runs(
    posthorn: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each run handles a limited number, continues where the last one stopped, and repeats none.

    With the real limit of 10,000 a run and twelve runs an hour, 100,000 overdue rows take 50 minutes.
    """
    monkeypatch.setattr(sweeper, "LIMIT", 800)
    rows = _overdue(posthorn, 2_000)
    posthorn.clock.pass_seconds(GRACE + 3)

    runs: list[Swept] = []
    while not runs or not runs[-1].complete:
        runs.append(posthorn.sweep())
        posthorn.clock.pass_seconds(1)

    assert [run.enqueued for run in runs] == pytest.approx([800, 800, 400], abs=sweeper.PAGE)
    assert _messages(posthorn) == sorted(f"{row.key.event_id} 1" for row in rows)


def test_the_longest_overdue_come_first(posthorn: Installation, monkeypatch: pytest.MonkeyPatch) -> None:
    """In every shard the run begins with the rows that have waited longest."""
    monkeypatch.setattr(sweeper, "PAGE", 1)
    monkeypatch.setattr(sweeper, "LIMIT", 8)
    rows = _overdue(posthorn, 200)
    oldest: dict[int, str] = {}
    for row in rows:
        oldest.setdefault(shard_of(row.key.event_id), row.key.event_id)
    posthorn.clock.pass_seconds(GRACE + 1)

    posthorn.sweep()

    assert _messages(posthorn) == sorted(f"{event_id} 1" for event_id in oldest.values())


def test_messages_that_sqs_refuses_are_sent_after_another_grace(posthorn: Installation) -> None:
    """A moved row without a message is counted and becomes overdue again; the others have theirs."""
    rows = _overdue(posthorn, 20)
    posthorn.clock.pass_seconds(GRACE + 1)
    once = BaseClient._make_api_call  # type: ignore[attr-defined]  # not in the stubs

    def refuse_the_first(self: BaseClient, name: str, parameters: Any) -> Any:
        if name != "SendMessageBatch":
            return once(self, name, parameters)
        first, *others = parameters["Entries"]
        answer = once(self, name, {**parameters, "Entries": others}) if others else {}
        return {**answer, "Failed": [{"Id": first["Id"], "SenderFault": False, "Code": "Throttled"}]}

    with mock.patch.object(BaseClient, "_make_api_call", refuse_the_first):
        first = posthorn.sweep()
    posthorn.clock.pass_seconds(GRACE + 1)
    sent = len(_messages(posthorn))
    posthorn.sweep()

    assert first.unsent > 0
    assert (first.enqueued + first.unsent, first.enqueued) == (20, sent)
    assert {message.split()[0] for message in _messages(posthorn)} == {row.key.event_id for row in rows}


@pytest.mark.parametrize("operation", ["Query", "UpdateItem"])
def test_an_outage_fails_the_run(posthorn: Installation, operation: str) -> None:
    """If DynamoDB fails the run fails, which raises the alarm; the next run finds all rows."""
    _overdue(posthorn, 20)
    posthorn.clock.pass_seconds(GRACE + 1)
    once = BaseClient._make_api_call  # type: ignore[attr-defined]  # not in the stubs

    def fail(self: BaseClient, name: str, parameters: Any) -> Any:
        if name == operation:
            error: Any = {
                "Error": {"Code": "InternalServerError"},
                "ResponseMetadata": {"HTTPStatusCode": 500},
            }
            raise ClientError(error, name)
        return once(self, name, parameters)

    with mock.patch.object(BaseClient, "_make_api_call", fail), pytest.raises(Unavailable):
        posthorn.sweep()
    assert _messages(posthorn) == []

    assert posthorn.sweep().enqueued == 20


def test_a_late_message_beside_the_new_one_does_no_harm(posthorn: Installation) -> None:
    """If the message was only late, one of the two makes the attempt."""
    webhook = posthorn.register()
    posthorn.network.receivers["hooks.example.com"] = in_turn(fails(Failure.CONNECT), answers(200))
    event_id = posthorn.publish()
    posthorn.dispatch()
    posthorn.clock.pass_seconds(60 + GRACE + 1)
    posthorn.sweep()
    messages: Sequence[Any] = posthorn.take("Retry1MinQueue")

    for message in messages:
        assert posthorn.deliver([message]) == set()

    assert len(messages) == 2
    assert len(posthorn.network.received) == 2
    assert _row(posthorn, DeliveryKey(webhook["id"], event_id)).attempt == 2
