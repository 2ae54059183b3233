"""Headers that an event destination receives: the published ones, an id per attempt, up to two signatures."""

from __future__ import annotations

import base64
import hashlib
import hmac
import uuid
from typing import TYPE_CHECKING

import pytest
from standardwebhooks import Webhook, WebhookVerificationError

from posthorn.aws import clients
from posthorn.domain.clock import now_ms
from tests.configuration_sets import MAIL, SECRET, SETS, deliver_all, new_destination, new_set
from tests.network import answers, in_turn

if TYPE_CHECKING:
    from tests.installation import Installation
    from tests.network import Received


def test_the_three_published_calls(posthorn: Installation) -> None:
    """The documented calls for set, destination and mail work; Send and Delivery are received."""
    posthorn.clock.now_ms = now_ms()  # the library compares with the real time
    posthorn.network.receivers["yourapp.com"] = answers(200)
    wanted = {"name": "production", "suppression_options": "BOUNCE_AND_COMPLAINT"}

    made = posthorn.call("POST", SETS, wanted)
    destination = new_destination(posthorn, made.body["config_set_id"])
    sent = posthorn.call("POST", "/api/v1/partner/email/send", MAIL)
    deliver_all(posthorn)

    assert made.status == 201
    assert made.body == {
        "config_set_id": made.body["config_set_id"],
        **wanted,
        "created_at": made.body["created_at"],
    }
    assert sent.status == 202
    assert list(sent.body) == ["message_id"]
    message_id = sent.body["message_id"]
    assert str(uuid.UUID(message_id)) == message_id
    received = {one.payload["eventType"]: one for one in posthorn.network.received}
    assert set(received) == {"Send", "Delivery"}
    for name, one in received.items():
        _verify(one, name, SECRET)
        assert one.payload["mail"]["messageId"] == message_id
        assert one.payload["mail"]["source"] == "hello@yourcompany.com"
        assert one.payload["mail"]["destination"] == ["customer@example.com"]
    assert received["Delivery"].payload["delivery"]["recipients"] == ["customer@example.com"]
    assert len({one.headers["x-splashify-delivery-id"] for one in received.values()}) == 2
    assert destination["destination_id"].startswith("ed_")


def _verify(one: Received, event_type: str, secret: str) -> None:
    """Check the six published headers and the Standard Webhooks signature."""
    digest = hmac.new(secret.encode(), one.body, hashlib.sha256).hexdigest()
    assert one.headers["content-type"] == "application/json"
    assert one.headers["user-agent"] == "Splashify-Pro-Webhook/1.0"
    assert one.headers["x-splashify-event"] == event_type
    assert one.headers["x-splashify-signature"] == f"sha256={digest}"
    assert int(one.headers["x-splashify-timestamp"]) == one.at // 1000
    assert str(uuid.UUID(one.headers["x-splashify-delivery-id"])) == one.headers["x-splashify-delivery-id"]
    assert not any(name.startswith(("x-smashsend", "x-zootools")) for name in one.headers)
    library = Webhook("whsec_" + base64.b64encode(secret.encode()).decode())
    library.verify(one.body, one.headers)


def test_an_attempt_has_an_id_of_its_own_and_its_duplicate_the_same(posthorn: Installation) -> None:
    """A retry has another delivery id; a repetition of the same attempt has the same one."""
    posthorn.network.receivers["yourapp.com"] = in_turn(answers(500), answers(500), answers(200))
    new_destination(posthorn, new_set(posthorn), matching_event_types=["send"])
    posthorn.call("POST", "/api/v1/partner/email/send", MAIL)
    posthorn.notify(posthorn.take("FeedbackQueue"))
    records = posthorn.stream()
    posthorn.dispatch(records)
    (message,) = posthorn.take("Retry1MinQueue")
    rows = posthorn.tables["DeliveriesTable"]
    (row,) = clients.client("dynamodb").scan(TableName=rows)["Items"]
    clients.client("dynamodb").delete_item(TableName=rows, Key={"pk": row["pk"], "sk": row["sk"]})

    posthorn.dispatch(records)  # as after a crash between POST and row
    posthorn.deliver([message])

    first, again, retry = (one.headers["x-splashify-delivery-id"] for one in posthorn.network.received)
    assert first == again != retry


def test_a_rotated_secret_overlaps_for_a_day(posthorn: Installation) -> None:
    """The brand header uses the new secret at once; the old one signs beside it for 24 hours."""
    posthorn.clock.now_ms = now_ms()
    posthorn.network.receivers["yourapp.com"] = answers(200)
    set_id = new_set(posthorn)
    destination = new_destination(posthorn, set_id, matching_event_types=["send"])
    path = f"{SETS}/{set_id}/event-destinations/{destination['destination_id']}"

    def send() -> Received:
        posthorn.call("POST", "/api/v1/partner/email/send", MAIL)
        deliver_all(posthorn)
        return posthorn.network.received[-1]

    before = send()
    posthorn.call("PATCH", path, {"webhook_secret": "another-shared-secret"})
    during = send()
    posthorn.clock.pass_seconds(24 * 3600)
    after = send()

    def count(one: Received) -> int:
        return len(one.headers["webhook-signature"].split(" "))

    assert (count(before), count(during), count(after)) == (1, 2, 1)
    _verify(before, "Send", SECRET)
    _verify(during, "Send", "another-shared-secret")
    old = Webhook("whsec_" + base64.b64encode(SECRET.encode()).decode())
    old.verify(during.body, during.headers)
    with pytest.raises(WebhookVerificationError):
        old.verify(after.body, {**after.headers, "webhook-timestamp": str(now_ms() // 1000)})
    digest = hmac.new(b"another-shared-secret", after.body, hashlib.sha256).hexdigest()
    assert after.headers["x-splashify-signature"] == f"sha256={digest}"


def test_a_second_rotation_drops_the_oldest_secret(posthorn: Installation) -> None:
    """However often a secret is rotated, at most two are valid."""
    posthorn.network.receivers["yourapp.com"] = answers(200)
    set_id = new_set(posthorn)
    destination = new_destination(posthorn, set_id, matching_event_types=["send"])
    path = f"{SETS}/{set_id}/event-destinations/{destination['destination_id']}"
    for number in range(3):
        posthorn.call("PATCH", path, {"webhook_secret": f"shared-secret-number-{number}"})

    posthorn.call("POST", "/api/v1/partner/email/send", MAIL)
    deliver_all(posthorn)

    (received,) = posthorn.network.received
    signed = f"{received.id}.{received.headers['webhook-timestamp']}.".encode() + received.body
    expected = [
        "v1," + base64.b64encode(hmac.new(secret, signed, hashlib.sha256).digest()).decode()
        for secret in (b"shared-secret-number-2", b"shared-secret-number-1")
    ]
    assert received.headers["webhook-signature"] == " ".join(expected)
