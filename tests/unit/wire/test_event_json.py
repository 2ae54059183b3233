"""A webhook receives exactly what the published API documents."""

from __future__ import annotations

import hashlib
import hmac
import json
from dataclasses import replace
from typing import Any, Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from posthorn.domain.endpoint_kind import EndpointKind, PayloadFormat
from posthorn.domain.models import Event
from posthorn.settings import Brand
from posthorn.wire.ecmascript import parse, stringify
from posthorn.wire.envelope import Envelope
from posthorn.wire.formats import body_of, headers_of
from posthorn.wire.signing import standard_headers
from tests import json_texts

TOKEN: Final = b"wht_a1b2c3d4e5f6g7h8i9j0"
OLDER: Final = b"the token before the rotation"
NOW_MS: Final = 1_681_659_900_999
BRAND: Final = Brand()

EVENT: Final = Event(
    id="evt_01GY5BMP7FBC0DKZTXDZJ7EQ6S",
    channel="wksp_01GY5BMP7FBC0DKZTXDZJ7EQ6S",
    workspace="wksp_01GY5BMP7FBC0DKZTXDZJ7EQ6S",
    type="CONTACT_CREATED",
    data='{"contact":{"id":"cont_123456789","email":"newcontact@example.com","name":"New Contact",'
    '"createdAt":"2023-04-16T15:45:00Z"}}',
    created_at="2023-04-16T15:45:00Z",
)

# The two example payloads of the published API.
CONTACT_CREATED: Final[dict[str, Any]] = {
    "event": "CONTACT_CREATED",
    "created_at": "2023-04-16T15:45:00Z",
    "data": {
        "contact": {
            "id": "cont_123456789",
            "email": "newcontact@example.com",
            "name": "New Contact",
            "createdAt": "2023-04-16T15:45:00Z",
        }
    },
}
TEAM_MEMBER_JOINED: Final[dict[str, Any]] = {
    "event": "WORKSPACE_TEAM_MEMBER_JOINED",
    "created_at": "2023-04-16T16:30:00Z",
    "data": {
        "workspace": {"id": "wksp_123456789", "name": "My Workspace"},
        "user": {"id": "usr_987654321", "email": "teammember@example.com", "name": "Team Member"},
    },
}


def headers(
    *secrets: bytes, event: Event = EVENT, brand: Brand = BRAND, now_ms: int = NOW_MS
) -> tuple[tuple[str, str], ...]:
    envelope = Envelope(
        event=event,
        body=body_of(PayloadFormat.EVENT_JSON, event),
        secrets=secrets or (TOKEN,),
        sent_at=now_ms,
        endpoint_id="wh_01GY5BMP7FBC0DKZTXDZJ7EQ6S",
        generation=1,
        attempt=1,
    )
    return headers_of(EndpointKind.WEBHOOK, PayloadFormat.EVENT_JSON, envelope, brand)


def hmac_hex(secret: bytes, payload: bytes) -> str:
    return hmac.new(secret, payload, hashlib.sha256).hexdigest()


@pytest.mark.parametrize("payload", [CONTACT_CREATED, TEAM_MEMBER_JOINED], ids=lambda one: one["event"])
def test_the_published_payloads_go_out_as_published(payload: dict[str, Any]) -> None:
    """The documented events, when published, give the documented payloads, minified and in the same order."""
    event = replace(
        EVENT,
        type=payload["event"],
        data=stringify(payload["data"]),
        created_at=payload["created_at"],
    )
    assert body_of(PayloadFormat.EVENT_JSON, event) == json.dumps(payload, separators=(",", ":")).encode()


@given(text=json_texts.objects)
def test_a_body_survives_javascript(text: str) -> None:
    """The whole body, not only its data, survives a JavaScript round trip."""
    event = replace(EVENT, data=stringify(parse(text.encode())))
    body = body_of(PayloadFormat.EVENT_JSON, event)
    assert body == stringify(json.loads(body)).encode()


def test_the_headers_are_these_and_no_others() -> None:
    """The names, order and values of the headers are exactly these."""
    signature = hmac_hex(TOKEN, body_of(PayloadFormat.EVENT_JSON, EVENT))
    assert headers() == (
        ("Content-Type", "application/json"),
        ("User-Agent", "SMASHSEND-Webhook/1.0"),
        ("X-SMASHSEND-Signature", signature),
        ("X-Zootools-Signature", signature),
        *standard_headers(
            [TOKEN],
            message_id=EVENT.id,
            timestamp=1_681_659_900,
            body=body_of(PayloadFormat.EVENT_JSON, EVENT),
        ),
    )


def test_the_time_of_an_attempt_is_its_own_and_nothing_else_changes() -> None:
    """A retry has a new time and new signatures, but the same id."""
    first, second = dict(headers()), dict(headers(now_ms=NOW_MS + 900_000))
    changed = {name for name in first if first[name] != second[name]}
    assert changed == {"webhook-timestamp", "webhook-signature"}
    assert int(second["webhook-timestamp"]) - int(first["webhook-timestamp"]) == 900


def test_the_brand_headers_are_signed_with_the_newest_token_only() -> None:
    """Only the newest token signs the brand headers: the published verifier expects one signature."""
    during, after = dict(headers(TOKEN, OLDER)), dict(headers(TOKEN))
    for name in ("X-SMASHSEND-Signature", "X-Zootools-Signature"):
        assert during[name] == after[name] == hmac_hex(TOKEN, body_of(PayloadFormat.EVENT_JSON, EVENT))
    assert during["webhook-signature"].startswith(f"{after['webhook-signature']} v1,")


def test_another_brand_has_other_headers() -> None:
    """Header prefix and user agent are settings of the installation."""
    named = dict(headers(brand=Brand(header_prefix="X-Acme", alias_header="X-Old-Acme", user_agent="Acme/2")))
    assert named["User-Agent"] == "Acme/2"
    assert named["X-Acme-Signature"] == named["X-Old-Acme"]
    assert not [name for name in named if "SMASHSEND" in name or "Zootools" in name]


def test_without_an_alias_there_is_one_brand_signature() -> None:
    """With an empty alias, the second brand header is omitted."""
    names = [name for name, _ in headers(brand=Brand(alias_header=""))]
    assert names == [
        "Content-Type",
        "User-Agent",
        "X-SMASHSEND-Signature",
        "webhook-id",
        "webhook-timestamp",
        "webhook-signature",
    ]


@given(token=st.text(min_size=1, max_size=40))
def test_a_token_is_its_utf_8_bytes(token: str) -> None:
    """The signing key is the token's UTF-8 bytes, as in JavaScript."""
    assert dict(headers(token.encode()))["X-SMASHSEND-Signature"] == hmac_hex(
        token.encode("utf-8"), body_of(PayloadFormat.EVENT_JSON, EVENT)
    )


def test_the_published_spelling_is_kept() -> None:
    """An event keeps the spelling that its publisher used."""
    body = body_of(PayloadFormat.EVENT_JSON, replace(EVENT, type="contact.created"))
    assert json.loads(body)["event"] == "contact.created"
