"""The time of an email event is its own or that of its mail, never the current time."""

from __future__ import annotations

import json
from typing import Any

import pytest

from posthorn.domain.errors import Malformed
from posthorn.email.events import event_of
from tests import ses_examples as ses
from tests.ses_examples import replaced, without


@pytest.mark.parametrize(
    ("text", "created_at"),
    [
        ("2026-05-03T12:34:57Z", "2026-05-03T12:34:57.000Z"),
        ("2026-05-03T12:34:57.1239Z", "2026-05-03T12:34:57.123Z"),
        ("2026-05-03T14:34:57.123+02:00", "2026-05-03T12:34:57.123Z"),
        ("2026-05-03T12:34:57.123", "2026-05-03T12:34:57.123Z"),
        ("1970-01-01T00:00:00Z", "1970-01-01T00:00:00.000Z"),
        ("9999-12-31T23:59:59.999Z", "9999-12-31T23:59:59.999Z"),
    ],
)
def test_the_time_is_the_events_own_in_utc(text: str, created_at: str) -> None:
    """Any ISO 8601 time becomes RFC 3339 in UTC, and the id carries the same time."""
    event = event_of(replaced(ses.example("bounce"), "bounce/timestamp", text))
    assert event.created_at == created_at
    assert json.loads(event.data)["bounce"]["timestamp"] == text


@pytest.mark.parametrize("own", [{}, {"timestamp": None}, None, [], "text"])
def test_an_event_without_a_time_of_its_own_has_that_of_its_mail(own: Any) -> None:
    """Send, Reject and Rendering Failure have no time of their own, and other types may lack it."""
    told = ses.example("bounce") | {"bounce": own}
    assert event_of(told).created_at == "2017-08-05T00:40:02.012Z"


@pytest.mark.parametrize(
    "time",
    [
        "",
        "yesterday",
        "2026-02-30T00:00:00Z",
        "1969-12-31T23:59:59.999Z",
        "0001-01-01T00:00:00+14:00",
        "9999-12-31T23:59:59-12:00",
        1501893662669,
        True,
        ["2026-05-03T12:34:57Z"],
    ],
)
def test_an_invalid_time_is_malformed(time: Any) -> None:
    """Without a valid time there is no id and no event time, so the notification is malformed."""
    with pytest.raises(Malformed):
        event_of(replaced(ses.example("bounce"), "bounce/timestamp", time))
    with pytest.raises(Malformed):
        event_of(replaced(ses.example("send"), "mail/timestamp", time))


def test_an_event_without_any_time_is_malformed() -> None:
    """The current time never stands in for the event's."""
    with pytest.raises(Malformed, match="no time"):
        event_of(without(ses.example("send"), {"mail/timestamp"}))
