from datetime import UTC, date, datetime

import pytest

from stockpipeline.market.calendar import SessionCalendar
from stockpipeline.market.periods import Periods, UnknownBar
from stockpipeline.market.sessions import bar_iso, session_from_date


def ms(text: str) -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp() * 1000)


@pytest.mark.parametrize(
    ("day", "minutes", "first", "last", "bars"),
    [
        ("2012-03-09", 60, "2012-03-09T14:30Z", "2012-03-09T20:30Z", 7),  # winter time
        ("2012-03-12", 60, "2012-03-12T13:30Z", "2012-03-12T19:30Z", 7),  # daylight saving
        ("2004-11-26", 60, "2004-11-26T14:30Z", "2004-11-26T17:30Z", 4),  # half day: the last is half an hour
        ("2004-11-26", 1, "2004-11-26T14:30Z", "2004-11-26T17:59Z", 210),
        ("2004-11-24", 15, "2004-11-24T14:30Z", "2004-11-24T20:45Z", 26),
        ("2004-11-24", 390, "2004-11-24T14:30Z", "2004-11-24T14:30Z", 1),
    ],
)
def test_the_bars_of_a_session_begin_at_its_open_and_end_with_it(
    calendar: SessionCalendar, day: str, minutes: int, first: str, last: str, bars: int
) -> None:
    periods = Periods(calendar, minutes)
    session = session_from_date(date.fromisoformat(day))
    opens, closes = calendar.open_close_ms(session)
    found = []
    instant = opens
    while (period := periods.at(instant)) is not None:
        found.append(period)
        assert (period.opens_ms, periods.at(period.closes_ms)) == (instant, period)
        assert periods.of(period.bar) == period
        assert periods.session_of(period.bar) == session
        instant = period.closes_ms + 1
    assert (bar_iso(found[0].bar), bar_iso(found[-1].bar), len(found)) == (first, last, bars)
    assert found[-1].closes_ms == closes
    assert periods.at(opens - 1) is None


def test_a_daily_bar_is_its_session(calendar: SessionCalendar) -> None:
    periods = Periods(calendar)
    session = session_from_date(date(2004, 11, 26))
    period = periods.at(ms("2004-11-26T16:00"))
    assert period == (session, ms("2004-11-26T14:30"), ms("2004-11-26T18:00"))
    assert (periods.of(session), periods.session_of(session)) == (period, session)
    assert periods.at(ms("2004-11-25T16:00")) is None  # Thanksgiving
    assert bar_iso(session) == "2004-11-26"


@pytest.mark.parametrize("instant", ["2004-11-24T14:45", "2004-11-25T14:30", "2004-11-26T18:30"])
def test_a_number_that_is_no_bar_is_told(calendar: SessionCalendar, instant: str) -> None:
    with pytest.raises(UnknownBar, match=f"XNAS has no 30-minute bar that opens at {instant}Z"):
        Periods(calendar, 30).of(ms(instant) // 60_000)


@pytest.mark.parametrize("minutes", [0, -5, 1441])
def test_impossible_lengths_are_refused(calendar: SessionCalendar, minutes: int) -> None:
    with pytest.raises(ValueError, match="1 to 1440 minutes"):
        Periods(calendar, minutes)
