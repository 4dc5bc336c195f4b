from datetime import UTC, datetime

import pytest

from stockpipeline.market.calendar import SessionCalendar
from stockpipeline.sources.pacing import Pacer


class Clock:
    """A clock that only moves when someone sleeps."""

    def __init__(self) -> None:
        self.now = 1000.0

    def read(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        assert seconds > 0
        self.now += seconds


def ms(text: str) -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp() * 1000)


@pytest.fixture
def clock() -> Clock:
    return Clock()


def pacer(calendar: SessionCalendar, clock: Clock, speed: float) -> Pacer:
    return Pacer(calendar, speed, clock.read, clock.sleep)


def waited(pacer: Pacer, clock: Clock, instant: str) -> float:
    """Return the seconds since the start at which the tick of this instant is let through."""
    pacer.wait(ms(instant))
    return clock.now - 1000.0


def test_trading_time_passes_at_the_speed(calendar: SessionCalendar, clock: Clock) -> None:
    tested = pacer(calendar, clock, 60)
    assert waited(tested, clock, "2012-11-20T15:00") == 0.0
    assert waited(tested, clock, "2012-11-20T15:01") == pytest.approx(1.0)
    assert waited(tested, clock, "2012-11-20T16:00") == pytest.approx(60.0)


def test_nights_weekends_holidays_and_the_rest_of_a_half_day_take_no_time(
    calendar: SessionCalendar, clock: Clock
) -> None:
    tested = pacer(calendar, clock, 3600)
    assert waited(tested, clock, "2012-11-21T20:00") == 0.0  # an hour before the close
    assert waited(tested, clock, "2012-11-23T14:30") == pytest.approx(1.0)  # Thanksgiving in between
    assert waited(tested, clock, "2012-11-23T18:00") == pytest.approx(4.5)  # the half day's close
    assert waited(tested, clock, "2012-11-26T15:30") == pytest.approx(5.5)


def test_a_session_is_as_long_across_daylight_saving(calendar: SessionCalendar, clock: Clock) -> None:
    tested = pacer(calendar, clock, 3600)
    waited(tested, clock, "2012-03-09T14:30")
    assert waited(tested, clock, "2012-03-12T13:30") == pytest.approx(6.5)


def test_speed_0_never_waits(calendar: SessionCalendar, clock: Clock) -> None:
    tested = pacer(calendar, clock, 0)
    assert [waited(tested, clock, day) for day in ("2012-11-20T15:00", "2012-11-21T15:00")] == [0.0, 0.0]


def test_who_was_held_up_catches_up(calendar: SessionCalendar, clock: Clock) -> None:
    tested = pacer(calendar, clock, 60)
    waited(tested, clock, "2012-11-20T15:00")
    clock.now += 100.0
    assert tested.delay(ms("2012-11-20T16:00")) == 0.0
    assert waited(tested, clock, "2012-11-20T16:50") == pytest.approx(110.0)
