"""One event per occurrence: its id is derived from its time and from the data that receivers see."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import pytest

from posthorn.domain.ids import EVENT, new_id
from posthorn.email.events import event_of
from tests import ses_examples as ses
from tests.ses_examples import NAMES, OUR_TAGS, TYPES, expected_of, parts, replaced, without


@pytest.mark.parametrize("name", NAMES)
def test_the_same_notification_gives_the_same_event(name: str) -> None:
    """A notification gives the same event and id whenever it arrives and in whatever order its keys are."""
    told = ses.example(name)
    backwards = _backwards(told)
    assert list(backwards) != list(told)
    assert event_of(ses.example(name)) == event_of(told)
    assert event_of(backwards).id == event_of(told).id


def _backwards(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _backwards(value[name]) for name in reversed(value)}
    return [_backwards(one) for one in value] if isinstance(value, list) else value


@pytest.mark.parametrize(
    ("name", "path"),
    [
        (name, path)
        for name in NAMES
        for path, value in expected_of(name, ses.example(name)).items()
        if isinstance(value, str | int) and path not in {"eventType", *ses.RENAMED}
    ],
)
def test_different_data_for_receivers_makes_different_events(name: str, path: str) -> None:
    """A different recipient, feedback id, link, response or header makes a different event."""
    told = ses.example(name)
    value = parts(told)[path]
    longer = value.replace("Z", "9Z") if path.endswith("/timestamp") else f"{value}x"
    other = longer if isinstance(value, str) else value + 1
    assert event_of(replaced(told, path, other)).id != event_of(told).id


def test_two_mails_have_two_events() -> None:
    """The same event type for another mail is another event."""
    told = ses.example("send")
    other = replaced(told, "mail/tags/posthorn-message", ["550e8400-e29b-41d4-a716-446655440001"])
    assert event_of(other).id != event_of(told).id


@pytest.mark.parametrize(
    ("name", "path"), [(name, path) for name in NAMES for path in sorted(ses.REMOVED[name] - {*OUR_TAGS})]
)
def test_removed_fields_make_no_difference(name: str, path: str) -> None:
    """Notifications that differ only in removed fields give the same event."""
    told = ses.example(name)
    assert event_of(without(told, {path})).id == event_of(told).id


@pytest.mark.parametrize("name", NAMES)
def test_an_id_is_of_the_events_own_time(name: str) -> None:
    """Ids sort by the time of the event, not by the time of its notification."""
    moment = datetime.fromisoformat(TYPES[name][1])
    now_ms = round(moment.timestamp() * 1000)
    time = len("evt_") + 10  # the first ten characters of a ULID
    assert event_of(ses.example(name)).id[:time] == new_id(EVENT, now_ms=now_ms, entropy=bytes(10))[:time]
