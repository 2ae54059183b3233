"""Making the next attempt of an open delivery at once."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from posthorn.api.routes.configuration_sets import PATH as SETS
from posthorn.domain.models import DeliveryKey, Status
from posthorn.stores.delivery_rows import Lease
from tests.network import answers
from tests.sample_requests import destination

if TYPE_CHECKING:
    from tests.installation import Installation, Reply

HOST = "yourapp.com"
RETRIES = ("Retry1MinQueue", "Retry5MinQueue", "Retry15MinQueue")


@pytest.fixture(params=["webhook", "event destination"])
def path(posthorn: Installation, request: pytest.FixtureRequest) -> str:
    """Return the path of an endpoint whose receiver fails."""
    posthorn.network.receivers[HOST] = answers(500)
    posthorn.names[HOST] = ("93.184.215.14",)
    if request.param == "webhook":
        return f"/v1/webhooks/{posthorn.register(HOST)['id']}"
    set_id = posthorn.call("POST", SETS, {"name": "production"}).body["config_set_id"]
    destinations = f"{SETS}/{set_id}/event-destinations"
    made = posthorn.call("POST", destinations, destination(HOST)).body["destination_id"]
    return f"{destinations}/{made}"


def _fail(posthorn: Installation, path: str, attempts: int = 1) -> DeliveryKey:
    """Return a delivery that has failed so many times and waits for its next attempt."""
    assert posthorn.call("POST", f"{path}/test").status == 202
    assert posthorn.dispatch() == set()
    for queue in RETRIES[: attempts - 1]:
        (message,) = posthorn.take(queue)
        posthorn.clock.pass_seconds(message.delay)
        assert posthorn.deliver([message]) == set()
    return DeliveryKey(path.rpartition("/")[2], posthorn.network.received[-1].id)


def _retry(posthorn: Installation, path: str, key: DeliveryKey, **headers: str) -> Reply:
    sent = {name.replace("_", "-"): value for name, value in headers.items()}
    return posthorn.call("POST", f"{path}/deliveries/{key.event_id}/retry-now", headers=sent)


def _shown(reply: Reply) -> dict[str, Any]:
    """Return the delivery of an answer, in the spelling of webhooks."""
    shown = reply.body["delivery"]
    names = {"attempt_count": "attemptCount", "next_attempt_at": "nextAttemptAt"}
    return {names.get(name, name): value for name, value in shown.items()}


@pytest.mark.parametrize("attempts", [1, 2, 3])
def test_the_next_attempt_is_made_at_once(posthorn: Installation, path: str, attempts: int) -> None:
    """It is due now, its message waits in the queue of its attempt, and the earlier message does nothing more."""
    key = _fail(posthorn, path, attempts)
    queue = RETRIES[attempts - 1]
    (delayed,) = posthorn.take(queue)
    posthorn.clock.pass_seconds(7)
    posthorn.network.receivers[HOST] = answers(200)

    reply = _retry(posthorn, path, key)

    assert reply.status == 202
    shown = _shown(reply)
    assert (shown["status"], shown["attemptCount"], shown["generation"]) == ("retrying", attempts, 1)
    row = posthorn.row(key)
    assert row is not None
    assert row.next_attempt_at == posthorn.clock()
    (message,) = posthorn.take(queue)
    assert (message.delay, message.task) == (0, delayed.task)
    assert posthorn.deliver([message]) == set()
    assert posthorn.deliver([delayed]) == set()
    assert len(posthorn.network.received) == attempts + 1
    after = posthorn.row(key)
    assert after is not None
    assert (after.status, after.attempt) == (Status.DELIVERED, attempts + 1)


def test_a_queued_delivery_is_sent_at_once(posthorn: Installation) -> None:
    """A first attempt that waits in DeliverQueue gets a second message there, and one attempt is made."""
    webhook = posthorn.register(HOST)
    posthorn.network.receivers[HOST] = answers(404)
    key = DeliveryKey(webhook["id"], posthorn.publish())
    posthorn.dispatch()
    path = f"/v1/webhooks/{webhook['id']}"
    assert posthorn.call("POST", f"{path}/deliveries/{key.event_id}/replay").status == 202

    assert _shown(_retry(posthorn, path, key))["status"] == "queued"

    messages = posthorn.take("DeliverQueue")
    assert [message.task["attempt"] for message in messages] == [1, 1]
    for message in messages:
        assert posthorn.deliver([message]) == set()
    assert len(posthorn.network.received) == 2


def test_a_failed_attempt_is_followed_by_the_usual_delay(posthorn: Installation, path: str) -> None:
    """The attempt counts: the one after it is due after the delay of that attempt."""
    key = _fail(posthorn, path)
    posthorn.take(RETRIES[0])
    _retry(posthorn, path, key)

    assert posthorn.deliver(posthorn.take(RETRIES[0])) == set()

    (following,) = posthorn.take(RETRIES[1])
    assert (following.delay, following.task["attempt"]) == (300, 3)


def test_a_repetition_asks_for_no_further_attempt(posthorn: Installation, path: str) -> None:
    """Under one Idempotency-Key one attempt is moved, even if the repetition comes after it was made."""
    key = _fail(posthorn, path)
    posthorn.take(RETRIES[0])
    first = _retry(posthorn, path, key, idempotency_key="now")
    repeated = _retry(posthorn, path, key, idempotency_key="now")
    posthorn.deliver(posthorn.take(RETRIES[0]))
    posthorn.take(RETRIES[1])
    late = _retry(posthorn, path, key, idempotency_key="now")

    assert [reply.status for reply in (first, repeated, late)] == [202, 202, 202]
    assert _shown(late)["attemptCount"] == 2
    assert posthorn.waiting(RETRIES[1]) == []


def test_a_repetition_of_a_request_that_died_asks_for_no_further_attempt(
    posthorn: Installation, path: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first request moved the attempt and died before it was done; the attempt was made meanwhile."""
    key = _fail(posthorn, path)
    with monkeypatch.context() as broken:
        broken.setattr(type(posthorn.services.idempotency), "finish", _dies)
        with pytest.raises(KeyboardInterrupt):
            _retry(posthorn, path, key, idempotency_key="now")
    delayed, now = posthorn.take(RETRIES[0])
    posthorn.deliver([now])
    posthorn.take(RETRIES[1])

    late = _retry(posthorn, path, key, idempotency_key="now")

    assert late.status == 202
    assert delayed.task == now.task
    assert posthorn.waiting(RETRIES[1]) == []


def _dies(*_: object) -> None:
    raise KeyboardInterrupt


def test_a_settled_delivery_is_replayed_instead(posthorn: Installation, path: str) -> None:
    """Each of the two operations names the other where it does not apply, and a refusal leaves the key free."""
    key = _fail(posthorn, path)
    replayed = posthorn.call("POST", f"{path}/deliveries/{key.event_id}/replay")
    posthorn.network.receivers[HOST] = answers(404)
    posthorn.deliver(posthorn.take(RETRIES[0]))
    before = posthorn.row(key)

    refused = _retry(posthorn, path, key, idempotency_key="now")

    assert (replayed.status, replayed.body["code"]) == (409, "delivery_open")
    assert "`retry-now`" in replayed.body["detail"]
    assert (refused.status, refused.body["code"]) == (409, "delivery_settled")
    assert "`replay`" in refused.body["detail"]
    assert posthorn.row(key) == before
    assert posthorn.call("POST", f"{path}/deliveries/{key.event_id}/replay").status == 202
    assert _retry(posthorn, path, key, idempotency_key="now").status == 202
    assert len(posthorn.waiting("DeliverQueue")) == 2


def test_a_disabled_endpoint_gets_no_attempt(posthorn: Installation, path: str) -> None:
    """The row keeps its due time, and no message is sent."""
    key = _fail(posthorn, path)
    posthorn.take(RETRIES[0])
    method = "PUT" if path.startswith("/v1") else "PATCH"
    posthorn.call(method, path, {"enabled": False})
    before = posthorn.row(key)

    reply = _retry(posthorn, path, key)

    assert (reply.status, reply.body["code"]) == (409, "endpoint_disabled")
    assert posthorn.row(key) == before
    assert posthorn.waiting(RETRIES[0]) == []


def test_an_attempt_in_progress_is_not_doubled(posthorn: Installation, path: str) -> None:
    """While a worker holds the lease, the request is refused and changes nothing."""
    key = _fail(posthorn, path)
    posthorn.take(RETRIES[0])
    now = posthorn.clock()
    before = posthorn.deliveries.claim(
        key, generation=1, attempt=2, now_ms=now, lease=Lease(now + 10_000, "a worker", 0)
    )

    reply = _retry(posthorn, path, key)

    assert (reply.status, reply.body["code"]) == (409, "attempt_in_progress")
    assert posthorn.row(key) == before
    assert posthorn.waiting(RETRIES[0]) == []
    posthorn.clock.pass_seconds(11)
    assert _retry(posthorn, path, key).status == 202


def test_it_takes_no_fields(posthorn: Installation, path: str) -> None:
    """A body with any field is refused; an empty body is allowed."""
    key = _fail(posthorn, path)
    place = f"{path}/deliveries/{key.event_id}/retry-now"

    assert posthorn.call("POST", place, {"attempts": 3}).body["code"] == "invalid_input"
    assert posthorn.call("POST", place, {}).status == 202
