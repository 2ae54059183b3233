"""`format` of webhooks and event destinations: chosen, shown, delivered, and seen in the log as it was sent."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING, Any, Final

import pytest
from cloudevents.core.bindings.http import HTTPMessage, from_structured_event
from cloudevents.core.formats.json import JSONFormat
from standardwebhooks import Webhook

from posthorn.api.routes.sent_requests import OTHER_FORMAT
from posthorn.delivery import sender
from posthorn.domain.clock import now_ms
from posthorn.domain.endpoint_kind import EndpointKind, PayloadFormat
from posthorn.wire.formats import body_of, content_type_of, formats_of
from tests.configuration_sets import SECRET, SETS, new_destination, new_set
from tests.delivery_log import OURS, deliver_to, detail_of
from tests.network import answers, in_turn

if TYPE_CHECKING:
    from tests.installation import Installation
    from tests.network import Received

WEBHOOK: Final = formats_of(EndpointKind.WEBHOOK)
EVENT_DESTINATION: Final = formats_of(EndpointKind.EVENT_DESTINATION)
TOKEN: Final = "a-token-of-my-own"


def _destination(posthorn: Installation, **fields: Any) -> tuple[str, dict[str, Any]]:
    """Make an event destination in a set of its own, and return its path and what is shown of it."""
    set_id = new_set(posthorn)
    made = new_destination(posthorn, set_id, **fields)
    return f"{SETS}/{set_id}/event-destinations/{made['destination_id']}", made


def _check(received: Received, payload_format: PayloadFormat, secret: str) -> dict[str, Any]:
    """See that a request is signed and says what it is, and return its payload."""
    assert received.headers["content-type"] == content_type_of(payload_format)
    library = Webhook("whsec_" + base64.b64encode(secret.encode()).decode())
    assert library.verify(received.body, received.headers) == received.payload
    if payload_format is PayloadFormat.CLOUDEVENTS_JSON:
        read = from_structured_event(HTTPMessage(received.headers, received.body), JSONFormat())
        assert read.get_id() == received.id
    return received.payload


# ---- the field


@pytest.mark.parametrize("payload_format", WEBHOOK)
def test_a_webhook_chooses_its_format(posthorn: Installation, payload_format: PayloadFormat) -> None:
    """The format is shown by every call that shows a webhook; the default is `event_json`."""
    webhook = posthorn.register(format=payload_format)
    path = f"/v1/webhooks/{webhook['id']}"
    assert posthorn.register()["format"] == "event_json"
    assert webhook["format"] == payload_format
    assert posthorn.call("GET", path).body["webhook"]["format"] == payload_format
    listed = posthorn.call("GET", "/v1/webhooks").body["webhooks"]
    assert [one["format"] for one in listed] == [payload_format, "event_json"]
    for other in WEBHOOK:
        changed = posthorn.call("PUT", path, {"format": other}).body["webhook"]
        assert changed == {**webhook, "format": other}


@pytest.mark.parametrize("payload_format", EVENT_DESTINATION)
def test_an_event_destination_chooses_its_format(
    posthorn: Installation, payload_format: PayloadFormat
) -> None:
    """The format is shown by every call that shows a destination; the default is `ses_json`."""
    path, made = _destination(posthorn, format=payload_format)
    assert made["format"] == payload_format
    assert posthorn.call("GET", path).body == made
    listed = posthorn.call("GET", path.rpartition("/")[0]).body["event_destinations"]
    assert listed == [made]
    for other in EVENT_DESTINATION:
        assert posthorn.call("PATCH", path, {"format": other}).body == {**made, "format": other}


def test_an_event_destination_has_a_default(posthorn: Installation) -> None:
    """Without a format it receives SES's JSON, and a change of something else leaves the format alone."""
    path, made = _destination(posthorn)
    assert made["format"] == "ses_json"
    posthorn.call("PATCH", path, {"format": "standard_json"})
    assert posthorn.call("PATCH", path, {"name": "renamed"}).body["format"] == "standard_json"


@pytest.mark.parametrize("refused", ["ses_json", "xml", "EVENT_JSON", "", 7, None, True, ["event_json"], {}])
def test_a_webhook_refuses_other_formats(posthorn: Installation, refused: Any) -> None:
    """Create and update answer 422, point at the field and list the formats of webhooks."""
    webhook = posthorn.register()
    wanted = {"url": "https://hooks.example.com/hook", "events": ["*"], "format": refused}
    for reply in (
        posthorn.call("POST", "/v1/webhooks", wanted),
        posthorn.call("PUT", f"/v1/webhooks/{webhook['id']}", {"format": refused}),
    ):
        assert reply.status == 422
        (error,) = reply.body["errors"]
        assert error["pointer"] == "/format"
        assert error["detail"].endswith("one of event_json, standard_json, cloudevents_json.")


@pytest.mark.parametrize("refused", ["event_json", "xml", 7, None])
def test_an_event_destination_refuses_other_formats(posthorn: Installation, refused: Any) -> None:
    """Create and change answer 422, point at the field and list the formats of event destinations."""
    path, made = _destination(posthorn)
    wanted = {**made, "webhook_secret": SECRET, "format": refused}
    del wanted["destination_id"], wanted["created_at"]
    for reply in (
        posthorn.call("POST", path.rpartition("/")[0], wanted),
        posthorn.call("PATCH", path, {"format": refused}),
    ):
        assert reply.status == 422
        (error,) = reply.body["errors"]
        assert error["pointer"] == "/format"
        assert error["detail"].endswith("one of ses_json, standard_json, cloudevents_json.")


# ---- what arrives


def test_endpoints_of_one_event_each_get_their_format(
    posthorn: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Mixed as they come, every endpoint gets its own body, and each body is written once per event."""
    posthorn.clock.now_ms = now_ms()  # the library compares with the time that it really is
    chosen = dict[str, PayloadFormat]()
    for number, payload_format in enumerate(WEBHOOK * 2):
        host = f"h{number}.example.com"
        posthorn.register(host, format=payload_format, token=TOKEN)
        posthorn.network.receivers[host] = answers(200)
        chosen[host] = payload_format
    written: list[PayloadFormat] = []

    def counted(payload_format: PayloadFormat, event: Any) -> bytes:
        written.append(payload_format)
        return body_of(payload_format, event)

    monkeypatch.setattr(sender, "body_of", counted)
    event_id = posthorn.publish(data={"name": "Zoë"})

    assert posthorn.dispatch() == set()

    assert {received.host for received in posthorn.network.received} == chosen.keys()
    for received in posthorn.network.received:
        payload = _check(received, chosen[received.host], TOKEN)
        assert payload["data"] == {"name": "Zoë"}
        assert received.id == event_id
    assert sorted(written) == sorted(WEBHOOK)


@pytest.mark.parametrize("payload_format", WEBHOOK)
def test_a_webhook_is_tested_in_its_format(posthorn: Installation, payload_format: PayloadFormat) -> None:
    """A test event looks like the events to come."""
    posthorn.clock.now_ms = now_ms()
    posthorn.network.receivers["hooks.example.com"] = answers(200)
    webhook = posthorn.register(format=payload_format, token=TOKEN)

    sent = posthorn.call("POST", f"/v1/webhooks/{webhook['id']}/test", {"data": {"n": 1}})
    posthorn.dispatch()

    (received,) = posthorn.network.received
    assert received.id == sent.body["event"]["id"]
    assert _check(received, payload_format, TOKEN)["data"] == {"n": 1}


@pytest.mark.parametrize("payload_format", EVENT_DESTINATION)
def test_an_event_destination_is_tested_in_its_format(
    posthorn: Installation, payload_format: PayloadFormat
) -> None:
    """SES's JSON is the payload or its data, and the headers of the brand are the same in every format."""
    posthorn.clock.now_ms = now_ms()
    posthorn.network.receivers["yourapp.com"] = answers(200)
    path, _ = _destination(posthorn, format=payload_format)

    assert posthorn.call("POST", f"{path}/test", {"event": "bounce"}).status == 202
    posthorn.dispatch()

    (received,) = posthorn.network.received
    payload = _check(received, payload_format, SECRET)
    told = payload if payload_format is PayloadFormat.SES_JSON else payload["data"]
    assert told["eventType"] == received.headers["x-splashify-event"] == "Bounce"
    assert payload.get("type", "bounce") == "bounce"


@pytest.mark.parametrize("payload_format", EVENT_DESTINATION)
def test_webhooks_hear_of_an_event_destination_in_their_own_format(
    posthorn: Installation, payload_format: PayloadFormat
) -> None:
    """An operational event names the kind of the endpoint; it comes in the format of whoever listens."""
    posthorn.clock.now_ms = now_ms()
    for number, listening in enumerate(WEBHOOK):
        posthorn.register(f"h{number}.example.com", events=["*"], format=listening, token=TOKEN)
        posthorn.network.receivers[f"h{number}.example.com"] = answers(200)
    path, made = _destination(posthorn, format=payload_format)

    posthorn.call("PATCH", path, {"enabled": False})
    posthorn.dispatch()

    assert len(posthorn.network.received) == len(WEBHOOK)
    for received in posthorn.network.received:
        payload = _check(received, WEBHOOK[int(received.host[1])], TOKEN)
        assert payload["data"]["webhook"] == {
            "id": made["destination_id"],
            "kind": "event_destination",
            "name": made["name"],
            "host": "yourapp.com",
        }


# ---- the log


@pytest.mark.parametrize("later", WEBHOOK)
@pytest.mark.parametrize("first", WEBHOOK)
def test_the_log_shows_each_attempt_in_the_format_it_was_sent_in(
    posthorn: Installation, first: PayloadFormat, later: PayloadFormat
) -> None:
    """After a change of the format, an older attempt keeps its request; a note says that the body shown is another."""
    webhook = posthorn.register(format=first)
    event_id = deliver_to(posthorn, in_turn(answers(500), answers(200)), data={"name": "Zoë"})
    before = detail_of(posthorn, webhook, event_id)
    posthorn.call("PUT", f"/v1/webhooks/{webhook['id']}", {"format": later})
    unsent = detail_of(posthorn, webhook, event_id)
    posthorn.clock.pass_seconds(60)
    posthorn.deliver(posthorn.take("Retry1MinQueue"))

    shown = detail_of(posthorn, webhook, event_id)

    assert unsent == before
    assert shown["requestBody"].encode() == posthorn.network.received[-1].body
    assert f"Content-Type: {content_type_of(later)}" in shown["curl"]
    for attempt, received in zip(shown["attempts"], posthorn.network.received, strict=True):
        rebuilt = {name.lower(): value for name, value in attempt["request"]["headers"].items()}
        assert {name: value for name, value in rebuilt.items() if name not in OURS} == received.headers
        assert rebuilt["content-length"] == str(len(received.body))
    other = OTHER_FORMAT.format(sent=first, shown=later)
    assert [attempt["request"]["notes"] for attempt in shown["attempts"]] == [
        [] if first is later else [other],
        [],
    ]


@pytest.mark.parametrize("payload_format", EVENT_DESTINATION)
def test_the_log_of_an_event_destination_shows_its_format(
    posthorn: Installation, payload_format: PayloadFormat
) -> None:
    """The request that is shown is the one that was sent, `Content-Type` included."""
    posthorn.network.receivers["yourapp.com"] = answers(200)
    path, _ = _destination(posthorn, format=payload_format)
    event_id = posthorn.call("POST", f"{path}/test").body["event"]["id"]
    posthorn.dispatch()

    shown = posthorn.call("GET", f"{path}/deliveries/{event_id}").body["delivery"]

    (received,) = posthorn.network.received
    (attempt,) = shown["attempts"]
    rebuilt = {name.lower(): value for name, value in attempt["request"]["headers"].items()}
    assert {name: value for name, value in rebuilt.items() if name not in OURS} == received.headers
    assert shown["request_body"].encode() == received.body
    assert f"Content-Type: {content_type_of(payload_format)}" in shown["curl"]


def test_no_row_names_a_brand(posthorn: Installation) -> None:
    """Rows hold kinds and formats; brands are parameters of the headers and of nothing else."""
    posthorn.network.receivers |= {"hooks.example.com": answers(200), "yourapp.com": answers(200)}
    for payload_format in WEBHOOK:
        posthorn.register(format=payload_format)
    path, _ = _destination(posthorn, webhook_url="https://yourapp.com/hook")
    posthorn.publish()
    posthorn.call("POST", f"{path}/test")
    posthorn.dispatch()

    stored = posthorn.everything_stored().lower()

    assert not [brand for brand in ("smashsend", "splashify", "zootools") if brand in stored]
    assert all(str(one) in stored for one in WEBHOOK)
