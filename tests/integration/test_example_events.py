"""Example events: sent to one endpoint, through the same pipeline as every event."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from posthorn.api.routes.configuration_sets import PATH as SETS
from posthorn.aws import clients
from posthorn.domain.email_types import EMAIL_TYPES
from posthorn.domain.event_types import built_in
from posthorn.email.examples import EXAMPLE_MESSAGE, examples
from tests.network import answers

if TYPE_CHECKING:
    from tests.installation import Installation, Reply

HOST = "hooks.example.com"


def _test(posthorn: Installation, webhook: dict[str, Any], body: Any = None, **options: Any) -> Reply:
    return posthorn.call("POST", f"/v1/webhooks/{webhook['id']}/test", body, **options)


def _events(posthorn: Installation) -> list[Any]:
    rows = clients.client("dynamodb").scan(TableName=posthorn.tables["EventsTable"])["Items"]
    return sorted(rows, key=lambda row: row["sk"]["S"])


@pytest.mark.parametrize(
    ("events", "sent"),
    [
        (["contact.deleted", "CONTACT_CREATED"], "contact.deleted"),
        (["*"], "CONTACT_CREATED"),
        (["CAMPAIGN_*"], "CAMPAIGN_SENT"),
        (["CAMPAIGN_*", "CONTACT_UPDATED"], "CONTACT_UPDATED"),
    ],
)
def test_the_example_of_the_first_type_is_sent(posthorn: Installation, events: list[str], sent: str) -> None:
    """Without a body, it is the first type that the webhook names, else the catalog's first match."""
    webhook = posthorn.register(HOST, events=events)
    posthorn.network.receivers[HOST] = answers(200)

    reply = _test(posthorn, webhook)
    posthorn.dispatch()

    (received,) = posthorn.network.received
    assert reply.status == 202
    assert reply.body["event"] == {
        "id": received.id,
        "event": sent,
        "created_at": "2023-04-16T15:45:00Z",
    }
    name = sent.upper().replace(".", "_")
    assert received.payload == {
        "event": sent,
        "created_at": "2023-04-16T15:45:00Z",
        "data": built_in()[name].example,
    }


def test_an_example_event_goes_to_its_webhook_only_and_is_marked(posthorn: Installation) -> None:
    """Other matching webhooks get nothing, and the logs mark it as an example."""
    webhook, other = posthorn.register(HOST), posthorn.register("other.example.com")
    posthorn.network.receivers[HOST] = answers(200)

    event_id = _test(posthorn, webhook).body["event"]["id"]
    posthorn.dispatch()

    assert [one.host for one in posthorn.network.received] == [HOST]
    (entry,) = posthorn.call("GET", f"/v1/webhooks/{webhook['id']}/deliveries").body["deliveries"]
    assert (entry["eventId"], entry["isTest"], entry["status"]) == (event_id, True, "delivered")
    assert posthorn.call("GET", f"/v1/webhooks/{other['id']}/deliveries").body["deliveries"] == []
    (listed,) = posthorn.call("GET", "/v1/events").body["events"]
    assert (listed["id"], listed["isTest"], listed["matched"]) == (event_id, True, True)
    assert [one["webhookId"] for one in listed["deliveries"]] == [webhook["id"]]


def test_type_and_data_can_be_given(posthorn: Installation) -> None:
    """Any known type can be sent, subscribed to or not, with data of the caller's."""
    webhook = posthorn.register(HOST)
    posthorn.network.receivers[HOST] = answers(200)

    reply = _test(posthorn, webhook, {"event": "campaign.clicked", "data": {"link": "https://example.com/ü"}})
    posthorn.dispatch()

    (received,) = posthorn.network.received
    assert reply.body["event"]["event"] == "campaign.clicked"
    assert received.payload["data"] == {"link": "https://example.com/ü"}


def test_a_failed_example_event_is_retried_like_any_event(posthorn: Installation) -> None:
    """It takes the same path, retries included."""
    webhook = posthorn.register(HOST)
    posthorn.network.receivers[HOST] = answers(500)

    _test(posthorn, webhook)
    posthorn.dispatch()

    assert [message.delay for message in posthorn.waiting("Retry1MinQueue")] == [60]


@pytest.mark.parametrize(
    ("body", "status", "code", "pointer"),
    [
        ({"event": "CONTACT_EXPLODED"}, 422, "unknown_event_type", "/event"),
        ({"event": "Contact Created"}, 422, "invalid_event_type", "/event"),
        ({"event": "*"}, 422, "invalid_event_type", "/event"),
        ({"event": 1}, 422, "invalid_input", "/event"),
        ({"data": []}, 422, "invalid_input", "/data"),
        ({"data": {"n": "x" * 262_144}}, 413, "too_large", "/data"),
        ({"created_at": "2023-04-16T15:45:00Z"}, 422, "invalid_input", "/created_at"),
    ],
)
def test_an_invalid_example_event(
    posthorn: Installation, body: dict[str, Any], status: int, code: str, pointer: str
) -> None:
    """Data that could not be published is refused, and nothing is accepted."""
    reply = _test(posthorn, posthorn.register(HOST), body)

    assert (reply.status, reply.body["code"]) == (status, code)
    assert [error["pointer"] for error in reply.body["errors"]] == [pointer]
    assert _events(posthorn) == []


def test_a_disabled_endpoint_gets_no_example_event(posthorn: Installation) -> None:
    """It would receive nothing; the error says what to do."""
    webhook = posthorn.register(HOST, enabled=False)

    reply = _test(posthorn, webhook)

    assert (reply.status, reply.body["code"]) == (409, "endpoint_disabled")
    assert _events(posthorn) == []


def test_a_repeated_request_sends_one_example_event(posthorn: Installation) -> None:
    """The same Idempotency-Key gives one event, whatever happened to the webhook meanwhile."""
    webhook = posthorn.register(HOST)
    key = {"idempotency-key": "try"}

    first = _test(posthorn, webhook, headers=key)
    posthorn.clock.pass_seconds(60)
    changed = {"events": ["CAMPAIGN_SENT"], "enabled": False}
    posthorn.call("PUT", f"/v1/webhooks/{webhook['id']}", changed)
    second = _test(posthorn, webhook, headers=key)

    assert (first.status, second.status) == (202, 202)
    assert second.body == first.body
    assert [row["type"]["S"] for row in _events(posthorn)] == ["CONTACT_CREATED", "WEBHOOK_DISABLED"]


# ---- event destinations


@pytest.fixture
def destination(posthorn: Installation) -> str:
    """Return the path of an event destination."""
    set_id = posthorn.call("POST", SETS, {"name": "production"}).body["config_set_id"]
    path = f"{SETS}/{set_id}/event-destinations"
    wanted = {
        "name": "webhook",
        "destination_type": "WEBHOOK",
        "webhook_url": f"https://{HOST}/hook",
        "webhook_secret": "your-shared-secret-32-chars",
        "matching_event_types": ["bounce", "send"],
    }
    posthorn.network.receivers[HOST] = answers(200)
    return f"{path}/{posthorn.call('POST', path, wanted).body['destination_id']}"


def test_a_destination_gets_an_example_mail_of_every_type(posthorn: Installation, destination: str) -> None:
    """Each has the shape of a real mail's event: its type, the mail without our tags, its own object."""
    for one in EMAIL_TYPES:
        assert posthorn.call("POST", f"{destination}/test", {"event": one.name}).status == 202
        posthorn.dispatch()
        received = posthorn.network.received[-1]
        assert list(received.payload) == ["eventType", "mail", one.key]
        assert received.headers["x-splashify-event"] == one.event_type
        assert received.payload["mail"]["messageId"] == EXAMPLE_MESSAGE
        assert received.payload["mail"]["commonHeaders"]["messageId"] == EXAMPLE_MESSAGE
        assert received.payload["mail"]["tags"] == {"campaign": ["welcome"]}
        assert received.payload[one.key] == examples()[one.name][one.key]


def test_a_destination_gets_its_first_type(posthorn: Installation, destination: str) -> None:
    """Two requests send two events, although their data is the same."""
    first = posthorn.call("POST", f"{destination}/test").body["event"]
    second = posthorn.call("POST", f"{destination}/test", {}).body["event"]
    posthorn.dispatch()

    assert (first["event"], second["event"]) == ("bounce", "bounce")
    assert first["id"] != second["id"]
    assert {one.id for one in posthorn.network.received} == {first["id"], second["id"]}


def test_the_data_of_a_mail_cannot_be_given(posthorn: Installation, destination: str) -> None:
    """Data for a destination is refused: only SES reports on mails."""
    reply = posthorn.call("POST", f"{destination}/test", {"data": {"eventType": "Bounce"}})

    assert (reply.status, reply.body["code"]) == (422, "data_not_allowed")
    assert _events(posthorn) == []
