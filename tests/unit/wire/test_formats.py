"""The formats beside the two defaults, and what goes with each kind of endpoint whatever its format."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any, Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from posthorn.domain.clock import rfc3339_ms
from posthorn.domain.endpoint_kind import EndpointKind, PayloadFormat
from posthorn.domain.errors import Malformed
from posthorn.domain.models import Event
from posthorn.email.examples import example_event, examples
from posthorn.settings import Brand
from posthorn.wire.ecmascript import parse, stringify
from posthorn.wire.envelope import Envelope
from posthorn.wire.formats import body_of, check, content_type_of, default_of, formats_of, headers_of
from tests import json_texts

WEBHOOK: Final = EndpointKind.WEBHOOK
EVENT_DESTINATION: Final = EndpointKind.EVENT_DESTINATION
WORKSPACE: Final = "wksp_01GY5BMP7FBC0DKZTXDZJ7EQ6S"
CHANNEL: Final = "cs_01GY5BMP7FBC0DKZTXDZJ7EQ6S"
EVENT: Final = Event(
    id="evt_01GY5BMP7FBC0DKZTXDZJ7EQ6S",
    channel=WORKSPACE,
    workspace=WORKSPACE,
    type="CONTACT_CREATED",
    data='{"contact":{"id":"cont_123456789","name":"New Contact"}}',
    created_at="2023-04-16T15:45:00Z",
)
EVENTS: Final = {
    WEBHOOK: EVENT,
    EVENT_DESTINATION: example_event("bounce", channel=CHANNEL, workspace=WORKSPACE),
}
COMBINATIONS: Final = pytest.mark.parametrize(
    ("kind", "payload_format"), [(kind, one) for kind in EndpointKind for one in formats_of(kind)]
)

times: Final = st.integers(0, 4_102_444_799_999).map(rfc3339_ms)
names: Final = st.from_regex(r"[A-Za-z][A-Za-z0-9_]{0,30}(\.[a-z][a-z_]{0,30})?", fullmatch=True)
events: Final = st.builds(
    lambda text, name, time: replace(EVENT, data=stringify(parse(text.encode())), type=name, created_at=time),
    json_texts.objects,
    names,
    times,
)


def _envelope(event: Event, body: bytes) -> Envelope:
    return Envelope(event, body, (b"secret",), 1_681_659_900_999, "wh_1", generation=1, attempt=1)


def _headers(kind: EndpointKind, payload_format: PayloadFormat) -> tuple[tuple[str, str], ...]:
    event = EVENTS[kind]
    envelope = _envelope(event, body_of(payload_format, event))
    return headers_of(kind, payload_format, envelope, Brand())


def test_each_kind_has_its_formats() -> None:
    """The default comes first, and no format is of no use to anybody."""
    standards = (PayloadFormat.STANDARD_JSON, PayloadFormat.CLOUDEVENTS_JSON)
    assert formats_of(WEBHOOK) == (PayloadFormat.EVENT_JSON, *standards)
    assert formats_of(EVENT_DESTINATION) == (PayloadFormat.SES_JSON, *standards)
    assert {one for kind in EndpointKind for one in formats_of(kind)} == set(PayloadFormat)


@pytest.mark.parametrize("payload_format", PayloadFormat)
@given(event=events)
def test_a_body_is_what_javascript_would_write_of_it(payload_format: PayloadFormat, event: Event) -> None:
    """Every format survives a receiver that signs what it parsed and wrote anew."""
    body = body_of(payload_format, event)
    assert stringify(json.loads(body)).encode() == body


@given(event=events)
def test_standard_json_is_the_payload_of_standard_webhooks(event: Event) -> None:
    """Type, time and data of the event, in this order and nothing else."""
    body = json.loads(body_of(PayloadFormat.STANDARD_JSON, event))
    assert list(body) == ["type", "timestamp", "data"]
    assert (body["type"], body["timestamp"]) == (event.type, event.created_at)
    assert body["data"] == json.loads(event.data)


@given(event=events)
def test_cloudevents_json_has_the_attributes_of_a_cloud_event(event: Event) -> None:
    """All attributes that CloudEvents 1.0 requires, the two that help, and the data as a JSON value."""
    body = json.loads(body_of(PayloadFormat.CLOUDEVENTS_JSON, event))
    data = body.pop("data")
    assert body == {
        "specversion": "1.0",
        "id": event.id,
        "source": f"/workspaces/{WORKSPACE}",
        "type": event.type,
        "time": event.created_at,
        "datacontenttype": "application/json",
    }
    assert data == json.loads(event.data)


@pytest.mark.parametrize("name", examples())
def test_a_mails_event_is_the_data_of_the_standard_formats(name: str) -> None:
    """SES's JSON is the data, and the type is the name that a destination subscribes to."""
    event = example_event(name, channel=CHANNEL, workspace=WORKSPACE)
    standard = json.loads(body_of(PayloadFormat.STANDARD_JSON, event))
    cloud = json.loads(body_of(PayloadFormat.CLOUDEVENTS_JSON, event))
    ses: dict[str, Any] = json.loads(body_of(PayloadFormat.SES_JSON, event))
    assert standard["data"] == cloud["data"] == ses
    assert standard["type"] == cloud["type"] == name
    assert standard["timestamp"] == cloud["time"] == event.created_at
    assert cloud["source"] == f"/workspaces/{WORKSPACE}/configuration-sets/{CHANNEL}"


@COMBINATIONS
def test_the_format_decides_the_content_type_and_the_kind_the_other_headers(
    kind: EndpointKind, payload_format: PayloadFormat
) -> None:
    """Beside Content-Type and the signatures, no header depends on the format, neither by name nor by value."""
    (first, content_type), *others = _headers(kind, payload_format)
    _, *usual = _headers(kind, default_of(kind))
    expected = "application/json"
    if payload_format is PayloadFormat.CLOUDEVENTS_JSON:
        expected = "application/cloudevents+json"
    assert (first, content_type) == ("Content-Type", expected)
    assert content_type == content_type_of(payload_format)
    assert [name for name, _ in others] == [name for name, _ in usual]
    differing = {name for (name, one), (_, other) in zip(others, usual, strict=True) if one != other}
    assert all(name.lower().endswith("-signature") for name in differing)
    assert bool(differing) is (payload_format is not default_of(kind))


@given(event=events)
def test_every_event_of_a_workspace_fits_every_format_of_a_webhook(event: Event) -> None:
    """What was accepted can be sent, whatever an endpoint chose."""
    check(WEBHOOK, event)
    for payload_format in formats_of(WEBHOOK):
        body = body_of(payload_format, event)
        assert headers_of(WEBHOOK, payload_format, _envelope(event, body), Brand())


def test_an_event_destination_takes_events_of_mails_only() -> None:
    """The headers name SES's type in every format, so an event without one is refused before anything is sent."""
    check(EVENT_DESTINATION, EVENTS[EVENT_DESTINATION])
    with pytest.raises(Malformed):
        check(EVENT_DESTINATION, EVENT)
