"""AWS's own examples become events: nothing is lost except what must be removed, and nothing is added."""

from __future__ import annotations

import json
from collections import OrderedDict
from typing import Final

import pytest

from posthorn.domain.email_types import EMAIL_TYPES
from posthorn.domain.ids import EVENT, is_id
from posthorn.email.events import event_of
from posthorn.wire.ecmascript import parse, stringify
from tests import ses_examples as ses
from tests.ses_consumer import consume
from tests.ses_examples import NAMES, TYPES, data_of, expected_of, parts

KEYS: Final = {one.event_type: one.key for one in EMAIL_TYPES}


def test_there_is_an_example_of_every_type() -> None:
    """AWS's ten event types are the ten that destinations can subscribe to."""
    told = {ses.example(name)["eventType"] for name in NAMES}
    assert told == {one.event_type for one in EMAIL_TYPES}
    assert len(told) == 10


@pytest.mark.parametrize("name", NAMES)
def test_exactly_the_listed_paths_are_removed(name: str) -> None:
    """Field by field, an event equals the example without the listed paths and with our message id."""
    told = ses.example(name)

    cleaned = data_of(told)

    assert parts(cleaned) == expected_of(name, told)
    removed = parts(told).keys() - parts(cleaned).keys()
    assert {path for path in removed if path.rpartition("/")[0] not in removed} == ses.REMOVED[name]


@pytest.mark.parametrize("name", NAMES)
def test_an_event_belongs_to_the_set_that_its_mail_was_sent_with(name: str) -> None:
    """Channel and workspace come from our tags; the type is the name that destinations subscribe to."""
    event = event_of(ses.example(name))

    assert (event.channel, event.workspace) == (ses.SET_ID, ses.WORKSPACE)
    assert (event.type, event.created_at) == TYPES[name]
    assert is_id(event.id, EVENT)


@pytest.mark.parametrize("name", NAMES)
def test_the_data_begins_as_receivers_expect_it(name: str) -> None:
    """First comes eventType, then mail, then the event-specific object, each in SES's key order."""
    told = ses.example(name)
    ordered = json.loads(event_of(told).data, object_pairs_hook=OrderedDict)

    assert list(ordered) == ["eventType", "mail", KEYS[told["eventType"]]]
    paths = list(parts(told["mail"]))
    assert list(parts(ordered["mail"])) == [path for path in paths if path in parts(ordered["mail"])]
    own = KEYS[told["eventType"]]
    assert list(parts(ordered[own])) == list(parts(told[own]))


@pytest.mark.parametrize("name", NAMES)
def test_the_data_survives_javascript(name: str) -> None:
    """The body survives JSON.parse and JSON.stringify, so its signature verifies afterwards."""
    data = event_of(ses.example(name)).data
    assert stringify(parse(data.encode())) == data


@pytest.mark.parametrize("name", NAMES)
def test_a_consumer_of_sns_reads_the_same_from_an_event(name: str) -> None:
    """Code written for SES over SNS finds every field in its place; only the message id differs."""
    told = ses.example(name)

    read, before = consume(event_of(told).data), consume(json.dumps(told))

    assert read.message_id == ses.MESSAGE_ID
    assert before.message_id.startswith("EXAMPLE")
    for field in ("event_type", "sent_at", "sender", "destination", "subject", "campaign", "details"):
        assert getattr(read, field) == getattr(before, field), field


@pytest.mark.parametrize("name", NAMES)
def test_nothing_of_the_operator_remains(name: str) -> None:
    """No event shows an account, an ARN, a tag of SES or Posthorn, or SES's message id."""
    told = ses.example(name)
    data = event_of(told).data
    hidden = (ses.ACCOUNT, "arn:aws", "ses:", "posthorn", "X-SES-", "ses_user", "IAM_user", "ConfigSet")
    assert [word for word in (*hidden, told["mail"]["messageId"]) if word in data] == []
    assert [word for word in hidden if word in json.dumps(told)] != []
