"""Trading time on the real calendar of XNAS, worked out by hand."""

from datetime import datetime
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stockpipeline.market.calendar import SessionCalendar, UnknownSession
from stockpipeline.signals.performance.horizon import parse_horizon

NEW_YORK = ZoneInfo("America/New_York")


def ms(text: str) -> int:
    """A New York time such as 2013-11-26 15:30 in epoch ms."""
    return round(datetime.fromisoformat(text).replace(tzinfo=NEW_YORK).timestamp() * 1000)


@pytest.mark.parametrize(
    ("horizon", "entry", "due"),
    [
        ("1h", "2013-11-26 10:00", "2013-11-26 11:00"),
        ("1h", "2013-11-26 15:00", "2013-11-26 16:00"),  # just fits: due at the close
        ("1h", "2013-11-26 15:30", "2013-11-27 10:00"),  # crosses a close
        ("1h", "2013-11-26 16:00", "2013-11-27 10:30"),  # entered with the closing auction
        ("1h", "2013-11-27 15:30", "2013-11-29 10:00"),  # over Thanksgiving
        ("1h", "2013-11-29 12:30", "2013-12-02 10:00"),  # half day (13:00), then a weekend
        ("90m", "2013-03-08 15:00", "2013-03-11 10:00"),  # clocks go forward on Sunday
        ("7h", "2013-11-26 09:30", "2013-11-27 10:00"),  # longer than the 6.5 h of a session
        ("20h", "2013-11-26 09:30", "2013-12-02 13:00"),  # 6.5 + 6.5 + 3.5 + 3.5
        ("1d", "2013-11-26 11:00", "2013-11-27 11:00"),
        ("1d", "2013-11-27 11:00", "2013-11-29 11:00"),
        ("1d", "2013-11-27 15:00", "2013-11-29 13:00"),  # the half day ends before 15:00
        ("2d", "2013-11-27 15:00", "2013-12-02 15:00"),
        ("5d", "2013-11-22 09:30", "2013-12-02 09:30"),
        ("1d", "2013-03-08 11:00", "2013-03-11 11:00"),
    ],
)
def test_when_a_return_is_due(calendar: SessionCalendar, horizon: str, entry: str, due: str) -> None:
    assert parse_horizon(horizon).due(calendar, ms(entry)) == ms(due)


@given(st.integers(0, 24 * 60), st.integers(1, 9999))
def test_minutes_are_counted_inside_of_sessions(calendar: SessionCalendar, start: int, minutes: int) -> None:
    entry = calendar.at_trading_ms(calendar.trading_ms(ms("2012-06-01 09:30")) + start * 60_000)
    due = parse_horizon(f"{minutes}m").due(calendar, entry)
    assert calendar.session_of(due) is not None
    assert calendar.trading_ms(due) - calendar.trading_ms(entry) == minutes * 60_000


def test_trading_time_stands_still_outside_of_sessions(calendar: SessionCalendar) -> None:
    closed = calendar.trading_ms(ms("2013-11-29 13:00"))
    for outside in ("2013-11-29 13:01", "2013-11-30 12:00", "2013-12-02 09:30"):
        assert calendar.trading_ms(ms(outside)) == closed
    assert calendar.trading_ms(ms("2013-12-02 09:31")) == closed + 60_000
    assert calendar.at_trading_ms(closed) == ms("2013-11-29 13:00")
    assert calendar.trading_ms(0) == 0


def test_the_calendar_ends(calendar: SessionCalendar) -> None:
    with pytest.raises(UnknownSession, match="so late"):
        calendar.at_trading_ms(1 << 60)
    with pytest.raises(UnknownSession, match="no session 99999 after 2013-11-29"):
        calendar.later_session(calendar.session_of(ms("2013-11-29 10:00")) or 0, 99_999)


@pytest.mark.parametrize("text", ["", "0m", "1", "h", "1w", "01h", "1.5h", "-1d", "10000m", "1h "])
def test_what_is_no_horizon(text: str) -> None:
    with pytest.raises(ValueError, match="is no horizon"):
        parse_horizon(text)
