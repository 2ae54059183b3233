"""Messages of the FeedbackQueue: raw, enveloped, about the topic itself, or malformed."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from posthorn.domain.errors import Malformed
from posthorn.email.sns import Notice, unwrap
from tests import ses_examples as ses
from tests.ses_examples import enveloped

if TYPE_CHECKING:
    from pathlib import Path

VALIDATION = "Successfully validated SNS topic for Amazon SES event publishing."


@pytest.mark.parametrize("path", sorted(ses.FOLDER.glob("*.json")), ids=lambda path: path.stem)
def test_raw_or_in_an_envelope_it_is_the_same(path: Path) -> None:
    """With or without raw delivery, the result is the notification that SES sent."""
    text = path.read_text(encoding="utf-8")
    assert unwrap(text) == unwrap(enveloped(text)) == json.loads(text)


@pytest.mark.parametrize("message", [VALIDATION, f"{VALIDATION}\n", enveloped(VALIDATION)])
def test_the_test_message_of_ses_is_a_notice(message: str) -> None:
    """SES confirms a new event destination with a plain text message to the topic."""
    assert unwrap(message) == Notice("TopicValidation")


@pytest.mark.parametrize("kind", ["SubscriptionConfirmation", "UnsubscribeConfirmation"])
def test_a_message_about_a_subscription_is_a_notice(kind: str) -> None:
    """SNS's own messages about a subscription carry no event and are dropped."""
    told = enveloped("You have chosen to subscribe to the topic. To confirm, visit the SubscribeURL.", kind)
    assert unwrap(told) == Notice(kind)


def test_a_type_of_its_own_makes_no_envelope() -> None:
    """If SES added a field called Type, its notification would still be recognized."""
    told = ses.example("send") | {"Type": "SubscriptionConfirmation", "Message": "{}"}
    assert unwrap(json.dumps(told)) == told


def test_numbers_and_texts_are_unchanged() -> None:
    """Parsed values can be written again without a change."""
    text = '{"eventType":"Send","n":[11893,0.1,1e21,-3],"s":"a\\"\\u00fc\\ud83d\\ude00"}'
    assert unwrap(text) == {"eventType": "Send", "n": [11893, 0.1, 1e21, -3], "s": 'a"ü😀'}


@pytest.mark.parametrize(
    "message",
    [
        "",
        "text",
        "null",
        "[]",
        '"text"',
        "5",
        "{",
        '{"eventType":"Send"}x',
        '{"eventType":"Send","eventType":"Open"}',
        '{"n":12345678901234567890}',
        '{"n":NaN}',
        '{"s":"\\ud83d"}',
        '{"s":"\ud83d"}',
        "[" * 100_000,
        f"not yet: {VALIDATION}",
    ],
    ids=lambda message: ascii(message[:30]),
)
def test_anything_but_a_strict_json_object_is_malformed(message: str) -> None:
    """A body that receivers could not verify is malformed, with or without an envelope."""
    with pytest.raises(Malformed):
        unwrap(message)
    with pytest.raises(Malformed):
        unwrap(enveloped(message))


@pytest.mark.parametrize(
    "change",
    [
        {"Type": "Something"},
        {"Type": None},
        {"Type": ["Notification"]},
        {"Type": {}},
        {"Message": None},
        {"Message": {"eventType": "Send"}},
    ],
    ids=repr,
)
def test_an_envelope_without_a_notification_is_malformed(change: dict[str, object]) -> None:
    """An envelope that might hide a lost event is kept for an operator."""
    told = json.loads(enveloped(json.dumps(ses.example("send")))) | change
    with pytest.raises(Malformed, match="envelope"):
        unwrap(json.dumps(told))


@given(
    st.text(max_size=40) | st.dictionaries(st.sampled_from(["Type", "Message"]), st.text()).map(json.dumps)
)
def test_any_text_is_something_or_malformed(text: str) -> None:
    """Any text is parsed or malformed; no other exception is raised."""
    try:
        found = unwrap(text)
    except Malformed:
        return
    assert isinstance(found, dict | Notice)
