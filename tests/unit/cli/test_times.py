"""Times as an operator types them."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, timedelta, timezone

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from posthorn_cli.times import parse

NOW = 1_767_225_600_000  # 2026-01-01T00:00:00Z
UNITS = {"m": timedelta(minutes=1), "h": timedelta(hours=1), "d": timedelta(days=1)}
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

offsets = st.builds(
    lambda minutes: timezone(timedelta(minutes=minutes)), st.integers(-23 * 60 - 59, 23 * 60 + 59)
)
moments = st.datetimes(min_value=datetime(1970, 1, 2), timezones=offsets)  # noqa: DTZ001 - the zone is drawn


@given(st.dates(min_value=date(1970, 1, 1)))
def test_a_date_is_its_beginning_in_utc(day: date) -> None:
    """Midnight in UTC, wherever the operator is."""
    assert parse(day.isoformat(), now_ms=NOW) == (day - date(1970, 1, 1)).days * 86_400_000


@given(st.integers(0, 20_000), st.sampled_from(sorted(UNITS)))
def test_an_age_is_counted_back_from_now(count: int, unit: str) -> None:
    """`2h` is two hours ago."""
    assert parse(f"{count}{unit}", now_ms=NOW) == NOW - count * UNITS[unit] // timedelta(milliseconds=1)


@given(moments, st.sampled_from([str, str.lower, lambda text: text.replace("T", " ")]))
@example(datetime(2026, 1, 1, tzinfo=UTC), str)
def test_rfc_3339_is_read_with_its_zone(moment: datetime, written: type[str]) -> None:
    """Any offset, with fractions of a second or without, to the millisecond."""
    text = written(moment.isoformat())

    assert parse(text, now_ms=NOW) == (moment - EPOCH) // timedelta(milliseconds=1)
    if moment.tzinfo == timezone(timedelta(0)):
        assert parse(text.removesuffix("+00:00") + "Z", now_ms=NOW) == parse(text, now_ms=NOW)


@given(moments)
def test_a_time_without_a_zone_is_refused(moment: datetime) -> None:
    """Nobody has to guess which zone was meant."""
    with pytest.raises(ValueError, match="zone"):
        parse(moment.replace(tzinfo=None).isoformat(), now_ms=NOW)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "Must be a date"),
        ("now", "Must be a date"),
        ("2", "Must be a date"),
        ("2w", "Must be a date"),
        ("-2h", "Must be a date"),
        ("2.5h", "Must be a date"),
        ("2h ", "Must be a date"),
        ("٢h", "Must be a date"),
        ("20260101", "Must be a date"),
        ("2026-W01-1", "Must be a date"),
        ("2026-01-01T12Z", "Must be a date"),
        ("2026-02-30", "Must be a date and time that exist."),
        ("2026-01-01T24:30:00Z", "Must be a date and time that exist."),
        ("0000-01-01", "Must be a date and time that exist."),
        ("1969-12-31", "Must not be earlier than 1970."),
        ("999999999d", "Must not be earlier than 1970."),
    ],
)
def test_anything_else_is_refused(text: str, says: str) -> None:
    """With what would be right."""
    with pytest.raises(ValueError, match=f"^{says}"):
        parse(text, now_ms=NOW)


@given(st.text(max_size=30) | st.from_regex(r"[0-9]{4}-[0-9]{2}-[0-9]{2}[Tt ]?[0-9:.,Zz+-]{0,20}"))
def test_any_text_is_a_time_or_a_mistake(text: str) -> None:
    """Nothing that can be typed raises anything else, and no time is one that an id cannot have."""
    moment, mistake = _read(text)

    assert (moment is None) != (mistake is None)
    assert moment is None or 0 <= moment < 1 << 48
    assert mistake is None or re.fullmatch(r"Must .*\.", mistake)


def _read(text: str) -> tuple[int | None, str | None]:
    try:
        return parse(text, now_ms=NOW), None
    except ValueError as error:
        return None, str(error)
