"""Configuration sets and their event destinations, as the published API prints them."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import uuid
from typing import TYPE_CHECKING, Any, Final

import pytest
from standardwebhooks import Webhook, WebhookVerificationError

from posthorn import aws
from posthorn.clock import now_ms
from posthorn.errors import Unavailable
from posthorn.models import DeliveryKey, Reason
from tests.network import answers, in_turn

if TYPE_CHECKING:
    from tests.installation import Installation, Reply
    from tests.network import Received

SETS: Final = "/api/v1/partner/email/configuration-sets"
SECRET: Final = "your-shared-secret-32-chars"
DESTINATION: Final[dict[str, Any]] = {
    "name": "production-webhook",
    "destination_type": "WEBHOOK",
    "webhook_url": "https://yourapp.com/webhooks/splashify",
    "webhook_secret": SECRET,
    "matching_event_types": ["send", "delivered", "bounce", "complaint", "open", "click"],
}
MAIL: Final[dict[str, Any]] = {
    "from": "hello@yourcompany.com",
    "to": ["customer@example.com"],
    "subject": "Welcome",
    "html_body": "<h1>Hi</h1>",
    "configuration_set_name": "production",
}


def _set(posthorn: Installation, name: str = "production", **fields: Any) -> str:
    reply = posthorn.call("POST", SETS, {"name": name, **fields})
    assert reply.status == 201, reply
    set_id: str = reply.body["config_set_id"]
    return set_id


def _destination(posthorn: Installation, set_id: str, **fields: Any) -> dict[str, Any]:
    reply = posthorn.call("POST", f"{SETS}/{set_id}/event-destinations", {**DESTINATION, **fields})
    assert reply.status == 201, reply
    destination: dict[str, Any] = reply.body
    return destination


def _deliver_all(posthorn: Installation) -> None:
    """Let what the backend told become events, and the events deliveries."""
    assert posthorn.notify(posthorn.take("FeedbackQueue")) == set()
    assert posthorn.dispatch() == set()


def test_the_three_published_calls(posthorn: Installation) -> None:
    """Set, destination and mail work as printed, and the destination receives Send and Delivery."""
    posthorn.clock.now_ms = now_ms()  # the library compares with the time that it really is
    posthorn.network.receivers["yourapp.com"] = answers(200)
    wanted = {"name": "production", "suppression_options": "BOUNCE_AND_COMPLAINT"}

    made = posthorn.call("POST", SETS, wanted)
    destination = _destination(posthorn, made.body["config_set_id"])
    sent = posthorn.call("POST", "/api/v1/partner/email/send", MAIL)
    _deliver_all(posthorn)

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
    """A retry carries another delivery id, a repetition of the same attempt the same one."""
    posthorn.network.receivers["yourapp.com"] = in_turn(answers(500), answers(500), answers(200))
    _destination(posthorn, _set(posthorn), matching_event_types=["send"])
    posthorn.call("POST", "/api/v1/partner/email/send", MAIL)
    posthorn.notify(posthorn.take("FeedbackQueue"))
    records = posthorn.stream()
    posthorn.dispatch(records)
    (message,) = posthorn.take("Retry1MinQueue")
    rows = posthorn.tables["DeliveriesTable"]
    (row,) = aws.client("dynamodb").scan(TableName=rows)["Items"]
    aws.client("dynamodb").delete_item(TableName=rows, Key={"pk": row["pk"], "sk": row["sk"]})

    posthorn.dispatch(records)  # as after a crash between POST and row
    posthorn.deliver([message])

    first, again, retry = (one.headers["x-splashify-delivery-id"] for one in posthorn.network.received)
    assert first == again != retry


def test_a_set_belongs_to_its_workspace_and_its_name_is_unique_there(posthorn: Installation) -> None:
    """A second set of the same name is refused; another workspace may use the name."""
    first = _set(posthorn)
    _, other = posthorn.new_workspace()

    again = posthorn.call("POST", SETS, {"name": "production"})
    theirs = posthorn.call("POST", SETS, {"name": "production"}, key=other)

    assert (again.status, again.body["code"]) == (409, "name_taken")
    assert theirs.status == 201
    assert theirs.body["config_set_id"] != first
    assert [one["config_set_id"] for one in posthorn.call("GET", SETS).body["configuration_sets"]] == [first]


@pytest.mark.parametrize("suppression", ["NONE", "BOUNCE", "COMPLAINT", "BOUNCE_AND_COMPLAINT"])
def test_a_set_can_be_changed(posthorn: Installation, suppression: str) -> None:
    """PATCH changes the suppression and the name, and mails find the set under its new name only."""
    set_id = _set(posthorn, suppression_options="BOUNCE")

    reply = posthorn.call("PATCH", f"{SETS}/{set_id}", {"suppression_options": suppression, "name": "live"})

    assert reply.status == 200
    assert (reply.body["name"], reply.body["suppression_options"]) == ("live", suppression)
    assert posthorn.call("GET", f"{SETS}/{set_id}").body == reply.body
    assert posthorn.call("POST", "/api/v1/partner/email/send", MAIL).status == 404
    sent = posthorn.call("POST", "/api/v1/partner/email/send", {**MAIL, "configuration_set_name": "live"})
    assert sent.status == 202
    assert _set(posthorn, "production") != set_id


def test_a_set_cannot_take_the_name_of_another(posthorn: Installation) -> None:
    """Renaming to a name that is taken changes nothing."""
    _set(posthorn, "one")
    two = _set(posthorn, "two")

    reply = posthorn.call("PATCH", f"{SETS}/{two}", {"name": "one"})

    assert (reply.status, reply.body["code"]) == (409, "name_taken")
    assert posthorn.call("GET", f"{SETS}/{two}").body["name"] == "two"


def test_deleting_a_set_takes_its_destinations_and_ends_what_is_in_flight(posthorn: Installation) -> None:
    """Destinations go with their set; a delivery that waits for a retry ends as `endpoint_deleted`."""
    posthorn.network.receivers["yourapp.com"] = answers(500)
    set_id = _set(posthorn)
    destination = _destination(posthorn, set_id, matching_event_types=["send"])
    posthorn.call("POST", "/api/v1/partner/email/send", MAIL)
    _deliver_all(posthorn)
    (message,) = posthorn.take("Retry1MinQueue")

    deleted = posthorn.call("DELETE", f"{SETS}/{set_id}")
    posthorn.deliver([message])

    row = posthorn.row(DeliveryKey(destination["destination_id"], message.task["event"]))
    assert (deleted.status, deleted.body) == (200, {"deleted": True})
    assert row is not None
    assert row.reason is Reason.ENDPOINT_DELETED
    assert posthorn.call("GET", f"{SETS}/{set_id}").status == 404
    assert posthorn.call("GET", f"{SETS}/{set_id}/event-destinations").status == 404
    assert posthorn.call("DELETE", f"{SETS}/{set_id}").status == 404
    assert posthorn.call("POST", "/api/v1/partner/email/send", MAIL).status == 404
    assert _set(posthorn) != set_id


@pytest.mark.parametrize("key", [None, {"idempotency-key": "set-1"}])
def test_a_creation_that_broke_off_is_completed_by_the_next(
    posthorn: Installation, monkeypatch: pytest.MonkeyPatch, key: dict[str, str] | None
) -> None:
    """When the backend fails half-way, the set is not there yet, and the same request again makes it."""
    with monkeypatch.context() as broken:

        def fail(*_: object) -> None:
            raise Unavailable("create_configuration_set", "TooManyRequestsException")

        broken.setattr(type(posthorn.office.email), "create_set", fail)
        first = posthorn.call("POST", SETS, {"name": "production"}, headers=key)
    listed = posthorn.call("GET", SETS).body
    at_once = posthorn.call("POST", SETS, {"name": "production"})
    posthorn.clock.pass_seconds(31)  # by then the first request is over for certain

    second = posthorn.call("POST", SETS, {"name": "production"}, headers=key)

    assert first.status == 503
    assert listed == {"configuration_sets": []}
    assert (at_once.status, at_once.body["code"]) == (409, "concurrent_changes")
    assert second.status == 201
    assert posthorn.call("GET", f"{SETS}/{second.body['config_set_id']}").body == second.body
    assert posthorn.call("POST", SETS, {"name": "production"}).status == 409


def test_a_deletion_that_broke_off_is_completed_by_the_next(
    posthorn: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    """When the backend fails half-way, the set is of no use any more, and the same request again removes it."""
    set_id = _set(posthorn)
    with monkeypatch.context() as broken:

        def fail(*_: object) -> None:
            raise Unavailable("delete_configuration_set", "TooManyRequestsException")

        broken.setattr(type(posthorn.office.email), "delete_set", fail)
        first = posthorn.call("DELETE", f"{SETS}/{set_id}")
    retrieved = posthorn.call("GET", f"{SETS}/{set_id}")

    second = posthorn.call("DELETE", f"{SETS}/{set_id}")

    assert (first.status, retrieved.status, second.status) == (503, 404, 200)
    assert _set(posthorn) != set_id


def test_a_delete_that_comes_late_leaves_the_name_to_its_new_owner(
    posthorn: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of two deletes of one set, the slower one does not take the name from a set made in the meantime."""
    old = _set(posthorn)
    backend = type(posthorn.office.email)
    made: list[str] = []

    def slow(*_: object) -> None:
        with monkeypatch.context() as quick:
            quick.setattr(backend, "delete_set", lambda *_: None)
            assert posthorn.call("DELETE", f"{SETS}/{old}").status == 200
        made.append(_set(posthorn))

    with monkeypatch.context() as patched:
        patched.setattr(backend, "delete_set", slow)
        posthorn.call("DELETE", f"{SETS}/{old}")

    assert posthorn.call("POST", SETS, {"name": "production"}).body["code"] == "name_taken"
    assert posthorn.call("POST", "/api/v1/partner/email/send", MAIL).status == 202
    assert posthorn.call("GET", f"{SETS}/{made[0]}").status == 200


def test_a_refused_change_changes_nothing_at_the_backend(
    posthorn: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A PATCH whose name is taken leaves the suppression at the backend alone; a good one reaches it, also again."""
    _set(posthorn, "one")
    two = _set(posthorn, "two")
    told: list[Any] = []
    monkeypatch.setattr(
        type(posthorn.office.email), "change_set", lambda _, set_id, to: told.append((set_id, to))
    )

    refused = posthorn.call("PATCH", f"{SETS}/{two}", {"name": "one", "suppression_options": "NONE"})
    told_by_refused = list(told)
    for _ in range(2):
        posthorn.call("PATCH", f"{SETS}/{two}", {"suppression_options": "NONE"})

    assert refused.status == 409
    assert told_by_refused == []
    assert told == [(two, "NONE")] * 2


def test_a_destination_made_while_its_set_goes_away_goes_too(
    posthorn: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A set that is deleted between the check and the write takes the new destination along."""
    from posthorn.routes import endpoints

    set_id = _set(posthorn)
    create = endpoints.create

    def late(*arguments: Any, **named: Any) -> Any:
        assert posthorn.call("DELETE", f"{SETS}/{set_id}").status == 200
        return create(*arguments, **named)

    with monkeypatch.context() as patched:
        patched.setattr(endpoints, "create", late)
        reply = posthorn.call("POST", f"{SETS}/{set_id}/event-destinations", DESTINATION)

    assert reply.status == 404
    assert posthorn.office.endpoints.of_channel(set_id) == []


def test_an_idempotency_key_counts_for_one_set(posthorn: Installation) -> None:
    """The same key and body for two sets makes a destination in each."""
    key = {"idempotency-key": "same"}
    made = [
        posthorn.call("POST", f"{SETS}/{_set(posthorn, name)}/event-destinations", DESTINATION, headers=key)
        for name in ("one", "two")
    ]

    assert [reply.status for reply in made] == [201, 201]
    assert len({reply.body["destination_id"] for reply in made}) == 2


def test_a_destination_never_shows_its_secret(posthorn: Installation) -> None:
    """No answer of any call on a destination holds the secret, nor does a row."""
    set_id = _set(posthorn)
    destination = _destination(posthorn, set_id)
    path = f"{SETS}/{set_id}/event-destinations"
    one = f"{path}/{destination['destination_id']}"

    replies = [
        posthorn.call("GET", path),
        posthorn.call("GET", one),
        posthorn.call("PATCH", one, {"webhook_secret": "another-shared-secret"}),
        posthorn.call("PATCH", one, {"name": "renamed"}),
        posthorn.call("DELETE", one),
    ]

    rows = repr(aws.client("dynamodb").scan(TableName=posthorn.tables["ConfigTable"])["Items"])
    assert [reply.status for reply in replies] == [200] * 5
    said = json.dumps([destination, *(reply.body for reply in replies)])
    for secret in (SECRET, "another-shared-secret"):
        assert secret not in said
        assert secret not in rows


@pytest.mark.parametrize(
    "change",
    [
        {"name": "renamed"},
        {"webhook_url": "https://new.example.com/hook"},
        {"matching_event_types": ["reject", "delivery_delay", "rendering_failure", "subscription"]},
        {"matching_event_types": ["*"]},
        {"enabled": False},
        {},
    ],
)
def test_a_change_of_a_destination_changes_nothing_else(
    posthorn: Installation, change: dict[str, Any]
) -> None:
    """PATCH takes any subset of the fields, and what it does not name stays as it was."""
    set_id = _set(posthorn)
    destination = _destination(posthorn, set_id)
    path = f"{SETS}/{set_id}/event-destinations/{destination['destination_id']}"

    reply = posthorn.call("PATCH", path, change)

    assert reply.status == 200
    shown = {name: reply.body[name] for name in destination}
    assert shown == {**destination, **change}
    assert posthorn.call("GET", path).body == reply.body


def test_a_rotated_secret_overlaps_for_a_day(posthorn: Installation) -> None:
    """After PATCH, the brand header uses the new secret; the old one signs beside it for 24 hours, then no more."""
    posthorn.clock.now_ms = now_ms()
    posthorn.network.receivers["yourapp.com"] = answers(200)
    set_id = _set(posthorn)
    destination = _destination(posthorn, set_id, matching_event_types=["send"])
    path = f"{SETS}/{set_id}/event-destinations/{destination['destination_id']}"

    def send() -> Received:
        posthorn.call("POST", "/api/v1/partner/email/send", MAIL)
        _deliver_all(posthorn)
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
    """There are never more than two secrets, however often one rotates."""
    posthorn.network.receivers["yourapp.com"] = answers(200)
    set_id = _set(posthorn)
    destination = _destination(posthorn, set_id, matching_event_types=["send"])
    path = f"{SETS}/{set_id}/event-destinations/{destination['destination_id']}"
    for number in range(3):
        posthorn.call("PATCH", path, {"webhook_secret": f"shared-secret-number-{number}"})

    posthorn.call("POST", "/api/v1/partner/email/send", MAIL)
    _deliver_all(posthorn)

    (received,) = posthorn.network.received
    signed = f"{received.id}.{received.headers['webhook-timestamp']}.".encode() + received.body
    expected = [
        "v1," + base64.b64encode(hmac.new(secret, signed, hashlib.sha256).digest()).decode()
        for secret in (b"shared-secret-number-2", b"shared-secret-number-1")
    ]
    assert received.headers["webhook-signature"] == " ".join(expected)


BAD_SETS: Final = [
    ({}, "/name"),
    ({"name": ""}, "/name"),
    ({"name": "x" * 65}, "/name"),
    ({"name": "with space"}, "/name"),
    ({"name": "ünïcode"}, "/name"),
    ({"name": 1}, "/name"),
    ({"name": "a", "suppression_options": "SOME"}, "/suppression_options"),
    ({"name": "a", "suppression_options": None}, "/suppression_options"),
    ({"name": "a", "suppression_options": ["BOUNCE"]}, "/suppression_options"),
    ({"name": "a", "colour": "red"}, "/colour"),
]
BAD_DESTINATIONS: Final = [
    ({"destination_type": "SNS"}, "/destination_type"),
    ({"destination_type": "webhook"}, "/destination_type"),
    ({"webhook_url": "http://yourapp.com/"}, "/webhook_url"),
    ({"webhook_url": "https://169.254.169.254/"}, "/webhook_url"),
    ({"webhook_secret": "x" * 15}, "/webhook_secret"),
    ({"webhook_secret": "x" * 257}, "/webhook_secret"),
    ({"matching_event_types": []}, "/matching_event_types"),
    ({"matching_event_types": ["send", "sent"]}, "/matching_event_types/1"),
    ({"matching_event_types": ["CONTACT_CREATED"]}, "/matching_event_types/0"),
    ({"name": ""}, "/name"),
    ({"name": None}, "/name"),
    ({"colour": "red"}, "/colour"),
]


def _refused(reply: Reply, pointer: str) -> None:
    assert reply.status == 422
    assert [error["pointer"] for error in reply.body["errors"]] == [pointer]
    assert SECRET not in json.dumps(reply.body)


@pytest.mark.parametrize(("body", "pointer"), BAD_SETS)
def test_a_set_that_cannot_be(posthorn: Installation, body: dict[str, Any], pointer: str) -> None:
    """Bad input for a set points at the culprit and makes nothing."""
    _refused(posthorn.call("POST", SETS, body), pointer)
    assert posthorn.call("GET", SETS).body == {"configuration_sets": []}


@pytest.mark.parametrize(("change", "pointer"), BAD_DESTINATIONS)
def test_a_destination_that_cannot_be(posthorn: Installation, change: dict[str, Any], pointer: str) -> None:
    """Bad input for a destination points at the culprit, at creation and at change, and changes nothing."""
    set_id = _set(posthorn)
    path = f"{SETS}/{set_id}/event-destinations"
    _refused(posthorn.call("POST", path, {**DESTINATION, **change}), pointer)
    assert posthorn.call("GET", path).body == {"event_destinations": []}

    destination = _destination(posthorn, set_id)
    one = f"{path}/{destination['destination_id']}"
    _refused(posthorn.call("PATCH", one, change), pointer)
    assert posthorn.call("GET", one).body == destination
