from datetime import UTC, date, datetime

import exchange_calendars
import pytest

from stockpipeline.api import Exchange
from stockpipeline.market.calendar import (
    FIRST_DAY,
    LAST_DAY,
    SessionCalendar,
    UnknownExchange,
    UnknownSession,
)
from stockpipeline.market.sessions import session_from_date


def ms(text: str) -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp() * 1000)


def session(text: str) -> int:
    return session_from_date(date.fromisoformat(text))


@pytest.mark.parametrize(
    ("day", "opens", "closes"),
    [
        ("2012-03-09", "2012-03-09T14:30", "2012-03-09T21:00"),  # the last session of winter time
        ("2012-03-12", "2012-03-12T13:30", "2012-03-12T20:00"),  # the first of daylight saving
        ("2012-11-02", "2012-11-02T13:30", "2012-11-02T20:00"),
        ("2012-11-05", "2012-11-05T14:30", "2012-11-05T21:00"),
        ("2004-11-26", "2004-11-26T14:30", "2004-11-26T18:00"),  # the half day after Thanksgiving
    ],
)
def test_hours_follow_daylight_saving_and_half_days(
    calendar: SessionCalendar, day: str, opens: str, closes: str
) -> None:
    assert calendar.open_close_ms(session(day)) == (ms(opens), ms(closes))


def test_an_instant_belongs_to_the_session_that_is_open_both_ends_included(calendar: SessionCalendar) -> None:
    day = session("2004-11-26")
    opens, closes = calendar.open_close_ms(day)
    assert [calendar.session_of(ts) for ts in (opens - 1, opens, closes, closes + 1)] == [
        None,
        day,
        day,
        None,
    ]


@pytest.mark.parametrize(
    "instant",
    [
        "2004-11-25T16:00",  # Thanksgiving
        "2012-10-29T16:00",  # hurricane Sandy
        "2012-12-25T16:00",
        "2012-12-22T16:00",  # a Saturday
        "1969-01-02T16:00",
        "2099-01-02T16:00",
    ],
)
def test_the_exchange_is_closed(calendar: SessionCalendar, instant: str) -> None:
    assert calendar.session_of(ms(instant)) is None


def test_sessions_between_are_the_trading_days(calendar: SessionCalendar) -> None:
    found = calendar.sessions_between(date(2004, 11, 24), date(2004, 11, 29))
    assert found == [session("2004-11-24"), session("2004-11-26"), session("2004-11-29")]
    assert calendar.sessions_between(date(2004, 11, 27), date(2004, 11, 28)) == []


def test_the_next_session_skips_the_weekend(calendar: SessionCalendar) -> None:
    assert calendar.next_session(session("2004-11-26")) == session("2004-11-29")
    assert calendar.next_session(session("2004-11-25")) == session("2004-11-26")
    with pytest.raises(UnknownSession):
        calendar.next_session(session("2080-01-01"))


def test_a_holiday_has_no_hours(calendar: SessionCalendar) -> None:
    with pytest.raises(UnknownSession, match="XNAS has no session on 2004-11-25"):
        calendar.open_close_ms(session("2004-11-25"))


def test_an_unknown_exchange_is_named_with_near_ones() -> None:
    with pytest.raises(UnknownExchange, match=r"'XNASS'; did you mean XNAS"):
        SessionCalendar("XNASS")


def test_the_last_session_that_is_over() -> None:
    calendar = SessionCalendar("XNAS")
    friday = session_from_date(date(2024, 6, 28))
    closes = calendar.open_close_ms(friday)[1]
    assert calendar.last_closed(closes) < friday, "it is over after its last moment"
    assert calendar.last_closed(closes + 1) == friday
    assert calendar.last_closed(closes + 2 * 86_400_000) == friday, "on the weekend"
    with pytest.raises(UnknownSession, match="so early"):
        calendar.last_closed(0)


@pytest.mark.parametrize("exchange", Exchange)
def test_all_sessions_are_those_of_exchange_calendars(exchange: Exchange) -> None:
    calendar = SessionCalendar(exchange.value)
    schedule = exchange_calendars.get_calendar(
        exchange.value, start=str(FIRST_DAY), end=str(LAST_DAY)
    ).schedule
    days = [session_from_date(stamp.date()) for stamp in schedule.index]
    assert calendar.sessions_between(FIRST_DAY, LAST_DAY) == days
    hours = [calendar.open_close_ms(day) for day in days]
    milliseconds = schedule[["open", "close"]].map(lambda stamp: stamp.value // 1_000_000)
    assert hours == list(milliseconds.itertuples(index=False, name=None))
