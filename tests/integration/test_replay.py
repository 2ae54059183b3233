"""Replaying one delivery: a new generation, the same event, and the retry schedule from the start."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from posthorn.api.routes.configuration_sets import PATH as SETS
from posthorn.aws import clients
from posthorn.aws.queues import Queues
from posthorn.domain.models import DeliveryKey, Status
from posthorn.stores.deliveries import KEPT_ATTEMPTS
from tests.network import answers

if TYPE_CHECKING:
    from collections.abc import Mapping

    import pytest

    from tests.installation import Installation, Reply, Waiting

RETRIES = ("Retry1MinQueue", "Retry5MinQueue", "Retry15MinQueue")
HOST = "hooks.example.com"


def _exhaust(posthorn: Installation) -> list[tuple[str, int, int]]:
    """Process all messages as they come due; return queue, delay and attempt of each."""
    hops: list[tuple[str, int, int]] = []
    while waiting := [
        (queue, message) for queue in ("DeliverQueue", *RETRIES) for message in posthorn.take(queue)
    ]:
        for queue, message in waiting:
            hops.append((queue, message.delay, message.task["attempt"]))
            posthorn.clock.pass_seconds(message.delay)
            assert posthorn.deliver([message]) == set()
    return hops


def _settled(posthorn: Installation, status: int = 500) -> DeliveryKey:
    """Return a settled delivery."""
    webhook = posthorn.register(HOST)
    posthorn.network.receivers[HOST] = answers(status)
    key = DeliveryKey(webhook["id"], posthorn.publish())
    assert posthorn.dispatch() == set()
    _exhaust(posthorn)
    return key


def _replay(posthorn: Installation, key: DeliveryKey, headers: Mapping[str, str] | None = None) -> Reply:
    path = f"/v1/webhooks/{key.endpoint_id}/deliveries/{key.event_id}/replay"
    return posthorn.call("POST", path, headers=headers)


def _detail(posthorn: Installation, key: DeliveryKey) -> dict[str, Any]:
    path = f"/v1/webhooks/{key.endpoint_id}/deliveries/{key.event_id}"
    found: dict[str, Any] = posthorn.call("GET", path).body["delivery"]
    return found


def test_a_delivery_that_failed_for_good_arrives_after_a_replay(posthorn: Installation) -> None:
    """It keeps its id and body, has a new timestamp and signature, and the log separates its generations."""
    key = _settled(posthorn)
    assert _detail(posthorn, key)["status"] == "failed"
    posthorn.network.receivers[HOST] = answers(200)
    posthorn.clock.pass_seconds(3600)

    reply = _replay(posthorn, key)
    assert reply.status == 202
    shown = reply.body["delivery"]
    assert (shown["status"], shown["generation"], shown["attemptCount"]) == ("queued", 2, 0)
    assert shown["replay"].startswith("rpl_")
    assert "reason" not in shown

    assert _exhaust(posthorn) == [("DeliverQueue", 0, 1)]
    whole = _detail(posthorn, key)
    first, last = posthorn.network.received[0], posthorn.network.received[-1]
    assert whole["status"] == "delivered"
    assert [(one["generation"], one["attempt"]) for one in whole["attempts"]] == [
        (1, 1),
        (1, 2),
        (1, 3),
        (1, 4),
        (2, 1),
    ]
    assert (last.id, last.body) == (first.id, first.body)
    assert int(last.headers["webhook-timestamp"]) == posthorn.clock() // 1000
    assert last.headers["webhook-signature"] != first.headers["webhook-signature"]
    rebuilt = {name.lower(): value for name, value in whole["attempts"][-1]["request"]["headers"].items()}
    assert rebuilt.items() >= last.headers.items()


def test_a_replay_that_fails_is_retried_as_if_it_were_new(posthorn: Installation) -> None:
    """It is retried after 1, 5 and 15 minutes, and then fails for good again."""
    key = _settled(posthorn)

    _replay(posthorn, key)

    assert _exhaust(posthorn) == [
        ("DeliverQueue", 0, 1),
        ("Retry1MinQueue", 60, 2),
        ("Retry5MinQueue", 300, 3),
        ("Retry15MinQueue", 900, 4),
    ]
    row = posthorn.row(key)
    assert row is not None
    assert (row.status, row.reason, row.generation, row.attempt) == ("failed", "exhausted", 2, 4)


def test_a_delivered_one_is_replayed_on_request(posthorn: Installation) -> None:
    """A delivery that is named explicitly is replayed even if it had arrived."""
    key = _settled(posthorn, 200)

    assert _replay(posthorn, key).status == 202
    _exhaust(posthorn)

    assert len(posthorn.network.received) == 2


def test_a_row_keeps_so_many_attempts_and_no_more(posthorn: Installation) -> None:
    """However often it is replayed, the row stays small; the newest attempts are kept."""
    key = _settled(posthorn)
    for _ in range(5):
        assert _replay(posthorn, key).status == 202
        _exhaust(posthorn)

    row = posthorn.row(key)

    assert row is not None
    assert len(row.attempts) == KEPT_ATTEMPTS + 4
    assert [(one.generation, one.number) for one in row.attempts] == [
        (generation, number) for generation in (2, 3, 4, 5, 6) for number in (1, 2, 3, 4)
    ]


# ---- what is refused


def test_an_open_delivery_is_not_replayed(posthorn: Installation) -> None:
    """A delivery that waits for its next attempt is refused; a second series would double it."""
    webhook = posthorn.register(HOST)
    posthorn.network.receivers[HOST] = answers(500)
    key = DeliveryKey(webhook["id"], posthorn.publish())
    posthorn.dispatch()
    before = posthorn.row(key)

    reply = _replay(posthorn, key)

    assert (reply.status, reply.body["code"]) == (409, "delivery_open")
    assert posthorn.row(key) == before
    assert posthorn.waiting("DeliverQueue") == []


def test_a_disabled_endpoint_is_not_replayed_to(posthorn: Installation) -> None:
    """Once the endpoint is enabled, the same request with the same key works."""
    key = _settled(posthorn)
    path = f"/v1/webhooks/{key.endpoint_id}"
    posthorn.call("PUT", path, {"enabled": False})
    name = {"idempotency-key": "again"}

    refused = _replay(posthorn, key, name)
    posthorn.call("PUT", path, {"enabled": True})
    taken = _replay(posthorn, key, name)

    assert (refused.status, refused.body["code"]) == (409, "endpoint_disabled")
    assert taken.status == 202


def test_an_expired_event_is_not_replayed(posthorn: Installation) -> None:
    """Without the event's data there is nothing to send; the delivery stays unchanged."""
    key = _settled(posthorn)
    before = posthorn.row(key)
    table = posthorn.tables["EventsTable"]
    (row,) = clients.client("dynamodb").scan(TableName=table)["Items"]
    clients.client("dynamodb").delete_item(TableName=table, Key={"pk": row["pk"], "sk": row["sk"]})

    reply = _replay(posthorn, key)

    assert (reply.status, reply.body["code"]) == (409, "event_expired")
    assert posthorn.row(key) == before


def test_a_replay_takes_no_fields(posthorn: Installation) -> None:
    """A body with any field is refused; an empty body is allowed."""
    key = _settled(posthorn)
    path = f"/v1/webhooks/{key.endpoint_id}/deliveries/{key.event_id}/replay"

    assert posthorn.call("POST", path, {"attempts": 3}).body["code"] == "invalid_input"
    assert posthorn.call("POST", path, {}).status == 202


def test_two_replays_at_once_begin_one_generation(posthorn: Installation) -> None:
    """The second replay finds the delivery open, whether it reads the row before or after the first."""
    key = _settled(posthorn)
    row = posthorn.row(key)
    assert row is not None
    assert _replay(posthorn, key).status == 202

    late = posthorn.services.deliveries.restart(row, replay="rpl_other", now_ms=posthorn.clock())
    second = _replay(posthorn, key)

    assert late is None
    assert (second.status, second.body["code"]) == (409, "delivery_open")
    assert len(posthorn.waiting("DeliverQueue")) == 1


# ---- said twice, and broken off


def test_a_repeated_request_replays_once(posthorn: Installation) -> None:
    """The same Idempotency-Key starts one replay, even after that replay has ended."""
    key = _settled(posthorn)
    name = {"idempotency-key": "again"}

    first = _replay(posthorn, key, name)
    second = _replay(posthorn, key, name)
    _exhaust(posthorn)
    third = _replay(posthorn, key, name)
    _exhaust(posthorn)

    assert first.body == second.body
    assert [reply.status for reply in (first, second, third)] == [202, 202, 202]
    assert third.body["delivery"]["status"] == "failed"
    row = posthorn.row(key)
    assert row is not None
    assert row.generation == 2


def test_a_replay_whose_message_was_not_sent_is_completed_by_its_repetition(
    posthorn: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    """If SQS fails after the row was written, the caller gets 503, and the same request sends the message."""
    from posthorn.domain.errors import Unavailable

    key = _settled(posthorn)
    posthorn.network.receivers[HOST] = answers(200)
    name = {"idempotency-key": "again"}

    def fail(*_: object, **__: object) -> None:
        raise Unavailable("send_message", "ServiceUnavailable")

    with monkeypatch.context() as broken:
        broken.setattr(Queues, "enqueue", fail)
        first = _replay(posthorn, key, name)
    assert (first.status, posthorn.waiting("DeliverQueue")) == (503, [])
    second = _replay(posthorn, key, name)

    assert second.status == 202
    assert second.body["delivery"]["generation"] == 2
    _exhaust(posthorn)
    assert _detail(posthorn, key)["status"] == "delivered"


# ---- messages and records of before


def _messages(posthorn: Installation) -> list[Waiting]:
    return [message for queue in ("DeliverQueue", *RETRIES) for message in posthorn.waiting(queue)]


def test_a_message_of_an_earlier_generation_does_nothing(posthorn: Installation) -> None:
    """A duplicate of an old message finds a newer generation and is dropped."""
    webhook = posthorn.register(HOST)
    posthorn.network.receivers[HOST] = answers(500)
    key = DeliveryKey(webhook["id"], posthorn.publish())
    posthorn.dispatch()
    (old,) = posthorn.waiting("Retry1MinQueue")
    _exhaust(posthorn)
    _replay(posthorn, key)
    before, sent = posthorn.row(key), len(posthorn.network.received)

    assert posthorn.deliver([old]) == set()

    assert posthorn.row(key) == before
    assert len(posthorn.network.received) == sent


def test_a_stream_record_that_comes_again_leaves_a_replay_alone(posthorn: Installation) -> None:
    """The dispatcher neither sends nor enqueues for a delivery that is being replayed."""
    webhook = posthorn.register(HOST)
    posthorn.network.receivers[HOST] = answers(500)
    key = DeliveryKey(webhook["id"], posthorn.publish())
    records = posthorn.stream()
    posthorn.dispatch(records)
    _exhaust(posthorn)
    _replay(posthorn, key)
    before, sent = posthorn.row(key), len(posthorn.network.received)

    assert posthorn.dispatch(records) == set()

    assert posthorn.row(key) == before
    assert len(posthorn.network.received) == sent
    assert len(_messages(posthorn)) == 1


# ---- event destinations


def test_each_generation_has_delivery_ids_of_its_own(posthorn: Installation) -> None:
    """Receivers of mail events tell a replay from a duplicate by X-Splashify-Delivery-ID."""
    set_id = posthorn.call("POST", SETS, {"name": "production"}).body["config_set_id"]
    path = f"{SETS}/{set_id}/event-destinations"
    wanted = {
        "name": "webhook",
        "destination_type": "WEBHOOK",
        "webhook_url": f"https://{HOST}/hook",
        "webhook_secret": "your-shared-secret-32-chars",
        "matching_event_types": ["send"],
    }
    destination = posthorn.call("POST", path, wanted).body["destination_id"]
    posthorn.network.receivers[HOST] = answers(404)
    posthorn.call("POST", f"{path}/{destination}/test")
    posthorn.dispatch()
    (first,) = posthorn.network.received

    reply = posthorn.call("POST", f"{path}/{destination}/deliveries/{first.id}/replay")
    _exhaust(posthorn)

    _, second = posthorn.network.received
    assert (reply.status, reply.body["delivery"]["attempt_count"]) == (202, 0)
    assert second.id == first.id
    assert second.headers["x-splashify-delivery-id"] != first.headers["x-splashify-delivery-id"]
    row = posthorn.row(DeliveryKey(destination, first.id))
    assert row is not None
    assert (row.status, row.is_test, row.generation) == (Status.FAILED, True, 2)
