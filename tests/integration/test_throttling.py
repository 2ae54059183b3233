"""DynamoDB refuses rows for minutes: deliveries are late, and no attempt is made twice."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from unittest import mock

import pytest
from botocore.client import BaseClient
from botocore.exceptions import ClientError

from posthorn.delivery.claims import ABANDONED_MS
from posthorn.delivery.throttling import REMEMBERED_MS
from posthorn.domain.models import DeliveryKey, Status
from posthorn.wiring import delivery as wiring
from tests.network import answers
from tests.proof.throttling import Throttling

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.installation import Installation, Waiting

VISIBILITY = 180
HOUR = 3_600


@pytest.fixture
def throttling(posthorn: Installation) -> Iterator[Throttling]:
    """Refuse writes of the DeliveriesTable while a test wants it."""
    throttling = Throttling(posthorn.tables["DeliveriesTable"], posthorn.clock)
    plain = BaseClient._make_api_call  # type: ignore[attr-defined]  # not in the stubs

    def call(client: BaseClient, name: str, parameters: Any) -> Any:
        return throttling.call(name, parameters, lambda allowed: plain(client, name, allowed))

    with (
        mock.patch.object(BaseClient, "_make_api_call", call),
        mock.patch("posthorn.stores.batches.time.sleep"),
    ):
        yield throttling


def _renew(posthorn: Installation) -> None:
    """Replace both functions by new processes, which remember nothing."""
    posthorn.dispatcher = wiring.dispatcher(posthorn.settings, network=posthorn.network, clock=posthorn.clock)
    posthorn.deliverer = wiring.deliverer(posthorn.settings, network=posthorn.network, clock=posthorn.clock)


def _publish(posthorn: Installation, count: int, *hosts: str) -> list[DeliveryKey]:
    """Publish events to webhooks of a workspace; returns the deliveries that follow."""
    webhooks = [posthorn.register(host)["id"] for host in hosts]
    posthorn.network.receivers |= {host: answers(200) for host in hosts}
    events = [posthorn.publish() for _ in range(count)]
    return [DeliveryKey(webhook, event) for event in events for webhook in webhooks]


def _work_off(posthorn: Installation) -> None:
    """Deliver the messages of DeliverQueue until none is left, each batch with a new process."""
    waiting = posthorn.take("DeliverQueue")
    for _ in range(20):
        posthorn.clock.pass_seconds(VISIBILITY)
        failed: set[str] = set()
        for start in range(0, len(waiting), 10):
            _renew(posthorn)
            failed |= posthorn.deliver(waiting[start : start + 10])
        waiting = [one for one in waiting if one.id in failed] + posthorn.take("DeliverQueue")
        if not waiting:
            return
    raise AssertionError(waiting)


def _statuses(posthorn: Installation, keys: list[DeliveryKey]) -> list[Status | None]:
    rows = [posthorn.row(key) for key in keys]
    return [None if row is None else row.status for row in rows]


@pytest.mark.parametrize("renewed", [False, True])
def test_a_throttled_endpoint_gets_every_post_once(
    posthorn: Installation, throttling: Throttling, renewed: bool
) -> None:
    """Twenty events whose rows stay unprocessed are twenty POSTs, and twenty rows once throttling ends."""
    keys = _publish(posthorn, 20, "hooks.example.com")
    records = posthorn.stream()
    throttling.begin(HOUR, partition=keys[0].endpoint_id)

    first = posthorn.dispatch(records)
    if renewed:
        _renew(posthorn)  # nothing comes again, so nothing must be remembered
    throttled = _statuses(posthorn, keys)
    throttling.end()
    _work_off(posthorn)

    assert first == set()
    assert throttled == [None] * 20
    assert len(posthorn.network.received) == 20
    assert _statuses(posthorn, keys) == [Status.DELIVERED] * 20


def test_records_that_come_again_are_not_sent_again_while_throttled(
    posthorn: Installation, throttling: Throttling
) -> None:
    """A process remembers what it handed over: 20 events are 20 POSTs after 20 runs of their records."""
    keys = _publish(posthorn, 20, "hooks.example.com")
    records = posthorn.stream()
    throttling.begin(HOUR)

    failed = [posthorn.dispatch(records) for _ in range(20)]

    assert failed == [set()] * 20
    assert len(posthorn.network.received) == 20
    assert len(posthorn.waiting("DeliverQueue")) == 20
    throttling.end()
    _work_off(posthorn)
    assert _statuses(posthorn, keys) == [Status.DELIVERED] * 20


def test_a_throttled_table_delays_a_batch_of_100(posthorn: Installation, throttling: Throttling) -> None:
    """With all rows refused for half an hour, 100 events are 100 POSTs, and each ends delivered."""
    keys = _publish(posthorn, 100, "hooks.example.com")
    throttling.begin(HOUR // 2)

    failed = posthorn.dispatch()
    _work_off(posthorn)

    assert failed == set()
    assert len(posthorn.network.received) == 100
    assert _statuses(posthorn, keys) == [Status.DELIVERED] * 100


def test_results_are_kept_when_sqs_refuses_them_as_well(
    posthorn: Installation, throttling: Throttling
) -> None:
    """Only then do the records fail; when they come again, the process writes what it remembers."""
    keys = _publish(posthorn, 20, "hooks.example.com")
    records = posthorn.stream()
    throttling.begin(HOUR)

    with _sqs_refuses():
        failed = [posthorn.dispatch(records) for _ in range(3)]
    throttling.end()
    last = posthorn.dispatch(records)

    assert failed == [{record["dynamodb"]["SequenceNumber"] for record in records}] * 3
    assert last == set()
    assert len(posthorn.network.received) == 20
    assert _statuses(posthorn, keys) == [Status.DELIVERED] * 20


def test_a_retry_follows_from_a_result_that_was_handed_over(
    posthorn: Installation, throttling: Throttling
) -> None:
    """A failed first attempt whose row was refused is retried at its time, after its row was written."""
    (key,) = _publish(posthorn, 1, "hooks.example.com")
    posthorn.network.receivers["hooks.example.com"] = answers(500)
    throttling.begin(HOUR)
    posthorn.dispatch()
    (handed_over,) = posthorn.take("DeliverQueue")
    posthorn.clock.pass_seconds(30)

    refused = posthorn.deliver([handed_over])
    waiting = posthorn.waiting("Retry1MinQueue")
    throttling.end()
    taken = [posthorn.deliver([handed_over]) for _ in range(2)]  # SQS may deliver it twice

    row = posthorn.row(key)
    assert (refused, waiting, taken) == ({handed_over.id}, [], [set(), set()])
    assert row is not None
    assert (row.status, row.attempt, len(row.attempts)) == (Status.RETRYING, 1, 1)
    assert [(one.task["attempt"], one.delay) for one in posthorn.waiting("Retry1MinQueue")] == [(2, 30)] * 2
    assert len(posthorn.network.received) == 1


def test_the_next_first_attempts_are_claimed_before_they_are_made(
    posthorn: Installation, throttling: Throttling
) -> None:
    """An endpoint whose rows were refused gets no POST before its row is written, until that is a minute ago."""
    keys = _publish(posthorn, 1, "hooks.example.com")
    throttling.begin(HOUR)
    posthorn.dispatch()
    keys += [DeliveryKey(keys[0].endpoint_id, posthorn.publish())]
    posthorn.take("DeliverQueue")

    failed = posthorn.dispatch()
    (claiming,) = posthorn.take("DeliverQueue")
    refused = [posthorn.deliver([claiming]) for _ in range(3)]
    sent_meanwhile = len(posthorn.network.received)
    throttling.end()
    claimed = [posthorn.deliver([claiming]) for _ in range(2)]  # the second one loses

    assert (failed, refused, claimed) == (set(), [{claiming.id}] * 3, [set(), set()])
    assert (sent_meanwhile, len(posthorn.network.received)) == (1, 2)
    assert _statuses(posthorn, keys) == [None, Status.DELIVERED]
    posthorn.clock.pass_seconds(REMEMBERED_MS / 1000 + 1)
    posthorn.publish()
    posthorn.dispatch()
    assert len(posthorn.network.received) == 3


def test_healthy_neighbors_are_not_delayed(posthorn: Installation, throttling: Throttling) -> None:
    """In the same batch, the rows of other endpoints are written at once, and their next events are sent."""
    keys = _publish(posthorn, 20, "throttled.example.com", "healthy.example.com")
    throttled = [key for key in keys if key.endpoint_id == keys[0].endpoint_id]
    healthy = [key for key in keys if key not in throttled]
    throttling.begin(HOUR, partition=keys[0].endpoint_id)

    failed = posthorn.dispatch()
    posthorn.publish()
    later = posthorn.dispatch()

    assert (failed, later) == (set(), set())
    assert _statuses(posthorn, healthy) == [Status.DELIVERED] * 20
    assert _statuses(posthorn, throttled) == [None] * 20
    assert len(posthorn.network.at("healthy.example.com")) == 21
    once = [sent.headers["webhook-id"] for sent in posthorn.network.at("throttled.example.com")]
    assert len(once) == len(set(once)) <= 20


@pytest.mark.parametrize("status", [200, 500])
def test_a_worker_hands_its_result_over(posthorn: Installation, throttling: Throttling, status: int) -> None:
    """The result of a retry that DynamoDB refuses again and again is one POST, whichever process receives it."""
    (key,) = _publish(posthorn, 1, "hooks.example.com")
    posthorn.network.receivers["hooks.example.com"] = answers(500)
    posthorn.dispatch()
    (retry,) = posthorn.take("Retry1MinQueue")
    posthorn.network.receivers["hooks.example.com"] = answers(status)
    throttling.begin(HOUR // 2, spares_claims=True)

    failed = posthorn.deliver([retry])
    _work_off(posthorn)

    row = posthorn.row(key)
    assert failed == set()
    assert len(posthorn.network.received) == 2
    assert row is not None
    assert (row.attempt, len(row.attempts)) == (2, 2)
    assert row.status is (Status.DELIVERED if status == 200 else Status.RETRYING)
    assert [one.task["attempt"] for one in posthorn.waiting("Retry5MinQueue")] == [3] * (status == 500)


def test_a_worker_keeps_its_result_when_sqs_refuses_it_as_well(
    posthorn: Installation, throttling: Throttling
) -> None:
    """The message comes again and finds the result in the memory of the process."""
    (key,) = _publish(posthorn, 1, "hooks.example.com")
    posthorn.network.receivers["hooks.example.com"] = answers(500)
    posthorn.dispatch()
    (retry,) = posthorn.take("Retry1MinQueue")
    throttling.begin(HOUR, spares_claims=True)

    with _sqs_refuses():
        failed = [posthorn.deliver([retry]) for _ in range(3)]
    throttling.end()
    last = posthorn.deliver([retry])

    row = posthorn.row(key)
    assert (failed, last) == ([{retry.id}] * 3, set())
    assert len(posthorn.network.received) == 2
    assert row is not None
    assert row.attempt == 2


@pytest.mark.parametrize("again", ["sweeper", "retry-now"])
def test_nothing_else_makes_an_attempt_whose_result_is_on_its_way(
    posthorn: Installation, throttling: Throttling, again: str
) -> None:
    """The row still shows the attempt before; another message for the same attempt leaves it alone."""
    (key,) = _publish(posthorn, 1, "hooks.example.com")
    posthorn.network.receivers["hooks.example.com"] = answers(500)
    posthorn.dispatch()
    (retry,) = posthorn.take("Retry1MinQueue")
    throttling.begin(HOUR, spares_claims=True)
    posthorn.clock.pass_seconds(60)
    posthorn.deliver([retry])
    throttling.end()
    posthorn.clock.pass_seconds(HOUR)

    other = _another(posthorn, key, again)
    _renew(posthorn)
    failed = posthorn.deliver([other])
    sent = len(posthorn.network.received)
    _work_off(posthorn)

    row = posthorn.row(key)
    assert (failed, sent) == (set(), 2)
    assert row is not None
    assert row.attempt == 2


def test_an_abandoned_claim_is_anybodys(posthorn: Installation, throttling: Throttling) -> None:
    """Hours later, when the message that took the lease is a dead letter, the sweeper's message goes on."""
    (key,) = _publish(posthorn, 1, "hooks.example.com")
    posthorn.network.receivers["hooks.example.com"] = answers(500)
    posthorn.dispatch()
    (retry,) = posthorn.take("Retry1MinQueue")
    throttling.begin(60, spares_claims=True)
    posthorn.deliver([retry])
    posthorn.take("DeliverQueue")  # the result becomes a dead letter
    posthorn.clock.pass_seconds(ABANDONED_MS / 1000 + 60)

    other = _another(posthorn, key, "sweeper")
    _renew(posthorn)
    failed = posthorn.deliver([other])

    row = posthorn.row(key)
    assert failed == set()
    assert row is not None
    assert row.attempt == 2


def _another(posthorn: Installation, key: DeliveryKey, by: str) -> Waiting:
    """Let something other than the retry's own message ask for the attempt."""
    if by == "sweeper":
        posthorn.sweep()
    else:
        path = f"/v1/webhooks/{key.endpoint_id}/deliveries/{key.event_id}/retry-now"
        assert posthorn.call("POST", path).status == 202
    (other,) = posthorn.take("Retry1MinQueue")
    return other


def _sqs_refuses() -> Any:
    inner = BaseClient._make_api_call  # type: ignore[attr-defined]  # not in the stubs

    def call(client: BaseClient, name: str, parameters: Any) -> Any:
        if name.startswith("SendMessage"):
            error: Any = {"Error": {"Code": "Throttled"}, "ResponseMetadata": {"HTTPStatusCode": 400}}
            raise ClientError(error, name)
        return inner(client, name, parameters)

    return mock.patch.object(BaseClient, "_make_api_call", call)
