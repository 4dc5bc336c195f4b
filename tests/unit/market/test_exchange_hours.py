"""The small table of exchange hours says what exchange_calendars says."""

from __future__ import annotations

import datetime
import subprocess
import sys

import exchange_calendars
import pytest

from stockpipeline.api import Exchange
from stockpipeline.market import exchange_hours, generate_exchange_hours
from stockpipeline.market.exchange_hours import ExchangeHours, OutOfTable, Session


def utc(text: str) -> datetime.datetime:
    return datetime.datetime.fromisoformat(text).replace(tzinfo=datetime.UTC)


def test_the_committed_table_is_what_the_calendars_give() -> None:
    assert exchange_hours._TABLE.read_text() == generate_exchange_hours.render(), "run `make generate`"


@pytest.mark.parametrize("exchange", Exchange)
def test_every_session_is_that_of_the_calendar(exchange: Exchange) -> None:
    first, last = exchange_hours.FIRST_DAY, exchange_hours.LAST_DAY
    calendar = exchange_calendars.get_calendar(exchange.value, start=str(first), end=str(last))
    schedule = calendar.schedule
    expected = {
        stamp.date(): Session(opens.to_pydatetime(), closes.to_pydatetime())
        for stamp, opens, closes in zip(schedule.index, schedule["open"], schedule["close"], strict=True)
    }
    hours = ExchangeHours.of(exchange.value)
    for number in range((last - first).days + 1):
        day = first + datetime.timedelta(days=number)
        assert hours._session(day) == expected.get(day), day


@pytest.mark.parametrize(
    ("instant", "closes"),
    [
        ("2026-11-23T14:29:59", None),
        ("2026-11-23T14:30:00", "2026-11-23T21:00:00"),
        ("2026-11-23T20:59:59", "2026-11-23T21:00:00"),
        ("2026-11-23T21:00:00", None),
        ("2026-11-26T16:00:00", None),  # Thanksgiving
        ("2026-11-27T17:59:00", "2026-11-27T18:00:00"),  # the half day after it
        ("2026-11-27T18:00:00", None),
        ("2026-11-28T16:00:00", None),  # Saturday
        ("2026-07-01T13:30:00", "2026-07-01T20:00:00"),  # daylight saving
    ],
)
def test_open_or_closed(instant: str, closes: str | None) -> None:
    session = ExchangeHours.of("XNAS").session_at(utc(instant))
    assert (session.closes if session else None) == (utc(closes) if closes else None)


@pytest.mark.parametrize(
    ("instant", "closed"),
    [
        ("2026-11-23T15:00:00", "2026-11-20T21:00:00"),
        ("2026-11-23T21:00:00", "2026-11-23T21:00:00"),
        ("2026-11-26T16:00:00", "2026-11-25T21:00:00"),
        ("2026-11-29T16:00:00", "2026-11-27T18:00:00"),
    ],
)
def test_the_last_close(instant: str, closed: str) -> None:
    assert ExchangeHours.of("XNYS").last_close(utc(instant)) == utc(closed)


def test_years_that_are_not_in_the_table_are_said() -> None:
    with pytest.raises(OutOfTable, match="known from 1990-01-01 to 2049-12-31, not on 2050-01-03"):
        ExchangeHours.of("XNAS").session_at(utc("2050-01-03T15:00:00"))


def test_it_needs_no_heavy_library() -> None:
    program = (
        "import sys, stockpipeline.market.exchange_hours as hours\n"
        "hours.ExchangeHours.of('XNAS')\n"
        "heavy = {'exchange_calendars', 'numpy', 'pandas', 'zoneinfo'} & sys.modules.keys()\n"
        "sys.exit(f'loaded {heavy}' if heavy else 0)"
    )
    subprocess.run([sys.executable, "-c", program], check=True)
