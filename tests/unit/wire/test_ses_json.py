"""What an event destination receives, header by header."""

import hashlib
import hmac
import uuid
from dataclasses import replace
from typing import Final

import pytest

from posthorn.domain.endpoint_kind import EndpointKind, PayloadFormat
from posthorn.domain.errors import Malformed
from posthorn.domain.models import Event
from posthorn.settings import Brand
from posthorn.wire.envelope import Envelope
from posthorn.wire.formats import body_of, check, headers_of
from posthorn.wire.signing import standard_headers

SECRET: Final = b"your-shared-secret-32-chars"
NOW_MS: Final = 1_777_811_696_000
EVENT: Final = Event(
    id="evt_01KQPXZN00DBQ7QJ2GZ2M8F3AB",
    channel="cs_01KQPXZN00DBQ7QJ2GZ2M8F3AC",
    workspace="wksp_01KQPXZN00DBQ7QJ2GZ2M8F3AD",
    type="delivered",
    data='{"eventType":"Delivery","mail":{"messageId":"550e8400-e29b-41d4-a716-446655440000"},"delivery":{}}',
    created_at="2026-05-03T12:34:57Z",
)
ENVELOPE: Final = Envelope(
    event=EVENT,
    body=body_of(PayloadFormat.SES_JSON, EVENT),
    secrets=(SECRET,),
    sent_at=NOW_MS,
    endpoint_id="ed_01KQPXZN00DBQ7QJ2GZ2M8F3AE",
    generation=1,
    attempt=1,
)


def _headers(envelope: Envelope = ENVELOPE, brand: Brand | None = None) -> dict[str, str]:
    return dict(
        headers_of(EndpointKind.EVENT_DESTINATION, PayloadFormat.SES_JSON, envelope, brand or Brand())
    )


def test_the_body_is_the_data_and_nothing_around_it() -> None:
    """The body is the data itself, so consumers written for SES find SES's JSON."""
    assert body_of(PayloadFormat.SES_JSON, EVENT) == EVENT.data.encode()


def test_the_headers_are_the_six_published_ones_and_the_standard_ones() -> None:
    """The names, order and values of the headers are exactly these."""
    digest = hmac.new(SECRET, ENVELOPE.body, hashlib.sha256).hexdigest()
    sent = headers_of(EndpointKind.EVENT_DESTINATION, PayloadFormat.SES_JSON, ENVELOPE, Brand())
    identity = sent[5][1]

    assert sent == (
        ("Content-Type", "application/json"),
        ("User-Agent", "Splashify-Pro-Webhook/1.0"),
        ("X-Splashify-Event", "Delivery"),
        ("X-Splashify-Signature", f"sha256={digest}"),
        ("X-Splashify-Timestamp", "1777811696"),
        ("X-Splashify-Delivery-ID", identity),
        *standard_headers([SECRET], message_id=EVENT.id, timestamp=1_777_811_696, body=ENVELOPE.body),
    )
    assert uuid.UUID(identity).version == 5


def test_the_delivery_id_names_the_attempt() -> None:
    """Endpoint, event, generation and attempt determine the delivery id; time and secret do not."""
    other = [
        replace(ENVELOPE, endpoint_id="ed_01KQPXZN00DBQ7QJ2GZ2M8F3AF"),
        replace(ENVELOPE, event=replace(EVENT, id="evt_01KQPXZN00DBQ7QJ2GZ2M8F3AG")),
        replace(ENVELOPE, generation=2),
        replace(ENVELOPE, attempt=2),
    ]
    same = [replace(ENVELOPE, sent_at=NOW_MS + 60_000), replace(ENVELOPE, secrets=(b"x" * 16, SECRET))]

    first = _headers()["X-Splashify-Delivery-ID"]

    assert len({first, *(_headers(one)["X-Splashify-Delivery-ID"] for one in other)}) == 5
    assert {_headers(one)["X-Splashify-Delivery-ID"] for one in same} == {first}


def test_the_delivery_id_never_changes_between_versions() -> None:
    """A duplicate sent by a later version must carry the same id, so this value is fixed."""
    assert _headers()["X-Splashify-Delivery-ID"] == "d8716aa2-1acd-5a5b-98d4-990b348f18c9"


def test_the_brand_is_a_matter_of_settings() -> None:
    """The configured prefix and user agent are used everywhere."""
    headers = _headers(brand=Brand(email_header_prefix="X-Acme", email_user_agent="Acme/2"))

    assert headers["User-Agent"] == "Acme/2"
    assert {name for name in headers if name.startswith("X-")} == {
        f"X-Acme-{name}" for name in ("Event", "Signature", "Timestamp", "Delivery-ID")
    }


def test_the_newest_secret_signs_for_the_brand() -> None:
    """During a rotation the brand header uses the new secret, the standard header both."""
    headers = _headers(replace(ENVELOPE, secrets=(b"the-new-secret-of-it", SECRET)))

    digest = hmac.new(b"the-new-secret-of-it", ENVELOPE.body, hashlib.sha256).hexdigest()
    assert headers["X-Splashify-Signature"] == f"sha256={digest}"
    assert len(headers["webhook-signature"].split(" ")) == 2


@pytest.mark.parametrize("data", ["{}", '{"mail":{},"eventType":"Send"}', "[]", ""])
def test_data_must_begin_with_its_type(data: str) -> None:
    """Data that does not begin with its type is malformed and is never sent."""
    with pytest.raises(Malformed):
        check(EndpointKind.EVENT_DESTINATION, replace(EVENT, data=data))
