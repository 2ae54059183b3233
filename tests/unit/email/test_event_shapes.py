"""Fields that SES omits, writes in another shape or adds later; message ids and types."""

from __future__ import annotations

import json
from typing import Any, Final

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from posthorn.domain.errors import Malformed
from posthorn.email.events import event_of
from tests import ses_examples as ses
from tests.ses_examples import NAMES, OUR_TAGS, data_of, expected_of, parts, replaced, without

# the required fields; all others may be missing
NEEDED: Final = {"", "eventType", "mail", "mail/messageId", "mail/timestamp", "mail/tags"}


def _is_needed(path: str) -> bool:
    is_name = path.startswith("mail/headers/") and path.endswith("/name")  # identifies a header here
    return path in NEEDED or path.startswith(OUR_TAGS) or is_name


@settings(max_examples=300)
@given(st.data())
def test_missing_optional_fields_do_no_harm(data: st.DataObject) -> None:
    """Fields that SES omits are omitted from the event, and all others are kept."""
    name = data.draw(st.sampled_from(NAMES))
    whole = ses.example(name)
    optional = sorted(path for path in parts(whole) if not _is_needed(path))
    told = without(whole, data.draw(st.sets(st.sampled_from(optional))))

    assert parts(data_of(told)) == expected_of(name, told)


@pytest.mark.parametrize("header", ["From", {"name": None}, {"value": "x"}, {"name": "Message-ID"}, None, 5])
def test_a_header_of_another_shape_passes(header: Any) -> None:
    """Headers that must be removed are removed from any list, and entries of unknown shape are kept."""
    told = replaced(ses.example("send"), "mail/headers", [header, {"name": "x-ses-Anything", "value": "x"}])
    assert data_of(told)["mail"]["headers"] == [header]


@pytest.mark.parametrize(
    "path", ["mail/headers", "mail/commonHeaders", "mail/messageId", "send", "mail/destination"]
)
@pytest.mark.parametrize("value", [None, "text", 5, [], {}, [[]]])
def test_a_field_of_another_shape_passes(path: str, value: Any) -> None:
    """Fields that Posthorn does not use may have any value."""
    told = replaced(ses.example("send"), path, value)
    expected = ses.MESSAGE_ID if path == "mail/messageId" else value
    found: Any = data_of(told)
    for step in path.split("/"):
        found = found[step]
    assert found == expected


@pytest.mark.parametrize("value", ["<own-id-17@example.com>", "another id", "", None], ids=repr)
def test_a_message_id_of_the_senders_own_stays(value: Any) -> None:
    """Only SES's id is replaced in the headers; the sender's own Message-ID is kept."""
    told = replaced(ses.example("click"), "mail/headers/Message-ID/value", value)
    told = replaced(told, "mail/commonHeaders/messageId", value)
    mail = data_of(told)["mail"]
    assert mail["headers"][-1] == {"name": "Message-ID", "value": value}
    assert mail["commonHeaders"]["messageId"] == value


@pytest.mark.parametrize("ses_id", ["", None, 5])
def test_without_an_id_of_ses_the_headers_are_unchanged(ses_id: Any) -> None:
    """If SES names no id, the mail still gets ours, and its headers are unchanged."""
    told = ses.example("click")
    mail = data_of(replaced(told, "mail/messageId", ses_id))["mail"]
    assert mail["messageId"] == ses.MESSAGE_ID
    assert mail["commonHeaders"] == told["mail"]["commonHeaders"]
    assert mail["headers"][-1] == told["mail"]["headers"][-1]


def test_the_id_of_ses_is_replaced_inside_a_message_id_too() -> None:
    """In an outgoing mail's Message-ID header, SES's id precedes an SES host name."""
    told = ses.example("click")
    ses_id = told["mail"]["messageId"]
    told = replaced(told, "mail/headers/Message-ID/value", f"<{ses_id}@eu-west-1.amazonses.com>")
    assert ses_id not in event_of(told).data
    assert f"<{ses.MESSAGE_ID}@eu-west-1.amazonses.com>" in event_of(told).data


@pytest.mark.parametrize(
    ("event_type", "name", "key"),
    [
        ("Inbox Placement", "inbox_placement", "inboxPlacement"),
        ("DeliveryRetried", "delivery_retried", "deliveryRetried"),
        ("SMSSent", "sms_sent", "smsSent"),
        ("archived", "archived", "archived"),
        ("List-Help", "list_help", "listHelp"),
        ("Phase 2 Bounce", "phase_2_bounce", "phase2Bounce"),
        ("X" + "a" * 63, "x" + "a" * 63, "x" + "a" * 63),
    ],
)
def test_an_unknown_type_passes_unharmed(event_type: str, name: str, key: str) -> None:
    """A new event type gets its name in snake case, and its own time if it has one."""
    told = {"detail": {"n": 1.5}, key: {"timestamp": "2026-05-03T12:34:57.000Z", "list": [{}, None]}}
    told |= {"eventType": event_type, "mail": ses.example("send")["mail"], "more": True}

    event = event_of(told)

    assert (event.type, event.created_at) == (name, "2026-05-03T12:34:57.000Z")
    found = json.loads(event.data)
    assert list(found) == ["eventType", "mail", key, "detail", "more"]
    assert {**found, "mail": None} == {**told, "mail": None}


def test_an_unknown_field_of_a_mail_passes() -> None:
    """Fields that AWS adds to a mail later reach receivers unchanged."""
    told = ses.example("send")
    told["mail"]["dkim"] = {"selectors": ["a", "b"], "bits": 2048}
    assert data_of(told)["mail"]["dkim"] == {"selectors": ["a", "b"], "bits": 2048}


@pytest.mark.parametrize(
    "event_type",
    [
        None,
        "",
        5,
        ["Send"],
        " Send",
        "Send ",
        "Se\r\nnd: x",
        "Send\n",
        "Zustellung für",
        "a" * 65,
        "--",
    ],
)
def test_a_type_that_no_header_could_carry_is_malformed(event_type: Any) -> None:
    """The type becomes a header value on every attempt and must be a name that patterns can match."""
    with pytest.raises(Malformed, match="eventType"):
        event_of(ses.example("send") | {"eventType": event_type})


def test_a_notification_without_a_type_is_malformed() -> None:
    """Notifications of an identity have a notificationType and no tags; they are not Posthorn's."""
    told = without(ses.example("bounce"), {"eventType"}) | {"notificationType": "Bounce"}
    with pytest.raises(Malformed, match="eventType"):
        event_of(told)
