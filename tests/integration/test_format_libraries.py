"""The two standard formats over HTTP, as the published libraries in Node read them, for both kinds of endpoints."""

from __future__ import annotations

import base64
import http.client
import json
import time
from contextlib import closing
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

import pytest
from cloudevents.core.bindings.http import HTTPMessage, from_structured_event
from cloudevents.core.formats.json import JSONFormat
from hypothesis import example, given, settings
from standardwebhooks import Webhook

from posthorn.domain.endpoint_kind import EndpointKind, PayloadFormat
from posthorn.domain.models import Event
from posthorn.email.examples import example_event, examples
from posthorn.settings import Brand
from posthorn.wire.ecmascript import parse, stringify
from posthorn.wire.envelope import Envelope
from posthorn.wire.formats import body_of, headers_of
from tests import json_texts
from tests.receivers.node import node_receiver

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.receivers.node import NodeReceiver

TOKEN: Final = "wht_a1b2c3d4e5f6g7h8i9j0"
SECRET: Final = f"whsec_{base64.b64encode(TOKEN.encode()).decode()}"
WORKSPACE: Final = "wksp_01GY5BMP7FBC0DKZTXDZJ7EQ6S"
MODERATE: Final = settings(max_examples=50, deadline=None)
STANDARD_JSON: Final = PayloadFormat.STANDARD_JSON
CLOUDEVENTS_JSON: Final = PayloadFormat.CLOUDEVENTS_JSON

EVENT: Final = Event(
    id="evt_01GY5BMP7FBC0DKZTXDZJ7EQ6S",
    channel=WORKSPACE,
    workspace=WORKSPACE,
    type="CONTACT_CREATED",
    data="{}",
    created_at="2023-04-16T15:45:00Z",
)
MAILS: Final = [
    example_event(name, channel="cs_01GY5BMP7FBC0DKZTXDZJ7EQ6S", workspace=WORKSPACE) for name in examples()
]

type Request = tuple[dict[str, str], bytes]


def _request(event: Event, kind: EndpointKind, payload_format: PayloadFormat) -> Request:
    """Make an attempt of right now."""
    body = body_of(payload_format, event)
    envelope = Envelope(
        event=event,
        body=body,
        secrets=(TOKEN.encode(),),
        sent_at=time.time_ns() // 1_000_000,
        endpoint_id="wh_01GY5BMP7FBC0DKZTXDZJ7EQ6S",
        generation=1,
        attempt=1,
    )
    return dict(headers_of(kind, payload_format, envelope, Brand())), body


def _webhook(data: str, payload_format: PayloadFormat) -> tuple[Event, Request]:
    event = replace(EVENT, data=stringify(parse(data.encode())))
    return event, _request(event, EndpointKind.WEBHOOK, payload_format)


def _post(receiver: NodeReceiver, request: Request) -> tuple[int, dict[str, Any]]:
    """Send a request, and return the status of the answer and what the receiver reports."""
    headers, body = request
    with closing(http.client.HTTPConnection(receiver.host, receiver.port, timeout=30)) as connection:
        connection.request("POST", "/", body, headers)
        with connection.getresponse() as answer:
            answer.read()
            return answer.status, receiver.report()


def _expected(event: Event) -> dict[str, Any]:
    """Return the event as a reader of CloudEvents is to find it, but for the time, which each writes its own way."""
    return {
        "specversion": "1.0",
        "id": event.id,
        "source": f"/workspaces/{WORKSPACE}"
        if event.channel == WORKSPACE
        else f"/workspaces/{WORKSPACE}/configuration-sets/{event.channel}",
        "type": event.type,
        "datacontenttype": "application/json",
        "data": json.loads(event.data),
    }


def _read_in_node(receiver: NodeReceiver, event: Event, request: Request) -> None:
    status, report = _post(receiver, request)
    assert status == 200, report
    found = report["event"]
    assert found.pop("time")[:19] == event.created_at[:19]
    assert found == json.loads(json.dumps(_expected(event)))


def _read_in_python(event: Event, request: Request) -> None:
    headers, body = request
    found = from_structured_event(HTTPMessage(headers, body), JSONFormat())
    attributes = dict(found.get_attributes())
    assert attributes.pop("time").isoformat()[:19] == event.created_at[:19]
    assert {**attributes, "data": found.get_data()} == _expected(event)


@pytest.fixture(scope="module")
def standard() -> Iterator[NodeReceiver]:
    """Run the two published libraries for Standard Webhooks."""
    with node_receiver("standard.js", env={"WEBHOOK_SECRET": SECRET}) as receiver:
        yield receiver


@pytest.fixture(scope="module")
def cloud() -> Iterator[NodeReceiver]:
    """Run the published library for CloudEvents."""
    with node_receiver("cloudevents.js", env={}) as receiver:
        yield receiver


@pytest.mark.parametrize("payload_format", [STANDARD_JSON, CLOUDEVENTS_JSON])
@MODERATE
@given(data=json_texts.objects)
@example('{"a":"\\ud83d\\ude00\\u2028","1":1e21,"0":-0.0}')
def test_a_webhook_is_verified_in_both_formats(
    standard: NodeReceiver, payload_format: PayloadFormat, data: str
) -> None:
    """The signature is that of Standard Webhooks whatever the body; in `standard_json` so is the payload."""
    event, request = _webhook(data, payload_format)
    assert _post(standard, request)[0] == 200
    headers, body = request
    found = Webhook(SECRET).verify(body, headers)
    if payload_format is STANDARD_JSON:
        assert found == {"type": event.type, "timestamp": event.created_at, "data": json.loads(event.data)}


@MODERATE
@given(data=json_texts.objects)
@example('{"a":"\\ud83d\\ude00\\u2028","1":1e21,"0":-0.0,"specversion":"2.0"}')
def test_a_webhook_receives_cloud_events(cloud: NodeReceiver, data: str) -> None:
    """Both libraries find every attribute and the data as it was published."""
    event, request = _webhook(data, CLOUDEVENTS_JSON)
    _read_in_node(cloud, event, request)
    _read_in_python(event, request)


@pytest.mark.parametrize("event", MAILS, ids=lambda event: event.type)
def test_an_event_destination_is_read_in_both_formats(
    standard: NodeReceiver, cloud: NodeReceiver, event: Event
) -> None:
    """The events of mails are signed and read like any others."""
    payload = _request(event, EndpointKind.EVENT_DESTINATION, STANDARD_JSON)
    assert _post(standard, payload)[0] == 200
    assert Webhook(SECRET).verify(payload[1], payload[0])["type"] == event.type
    structured = _request(event, EndpointKind.EVENT_DESTINATION, CLOUDEVENTS_JSON)
    assert _post(standard, structured)[0] == 200
    _read_in_node(cloud, event, structured)
    _read_in_python(event, structured)


def test_another_format_is_no_cloud_event(cloud: NodeReceiver) -> None:
    """The library refuses what does not say that it is one, so the tests above can fail."""
    _, request = _webhook("{}", STANDARD_JSON)
    assert _post(cloud, request)[0] == 400
