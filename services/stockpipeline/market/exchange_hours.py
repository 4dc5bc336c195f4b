"""When an exchange is open: holidays, half days and daylight saving, 1990 to 2049.

From a table made from `exchange_calendars` (`generate_exchange_hours`). Asking that library at run time
would take half a second of a start and, with pandas, 100 MB of memory.
"""

import datetime
import json
from bisect import bisect_right
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple, Self

FIRST_DAY, LAST_DAY = datetime.date(1990, 1, 1), datetime.date(2049, 12, 31)
_TABLE = Path(__file__).with_name("exchange_hours.json")
_DAY = datetime.timedelta(days=1)


class Session(NamedTuple):
    """A trading day of an exchange: its regular hours, in UTC."""

    opens: datetime.datetime
    closes: datetime.datetime


class OutOfTable(ValueError):
    """The instant is before or after the years of the table."""


@cache
def _tables() -> dict[str, dict[str, Any]]:
    tables: dict[str, dict[str, Any]] = json.loads(_TABLE.read_text())
    return tables


def exchanges() -> list[str]:
    """The exchanges whose hours are known, by market identifier code."""
    return list(_tables())


class ExchangeHours:
    """The sessions of one exchange. All times have a time zone."""

    def __init__(self, table: dict[str, Any]) -> None:
        self._first = datetime.date.fromisoformat(table["first"])
        self._last = datetime.date.fromisoformat(table["last"])
        self._since = [datetime.date.fromisoformat(day) for day, _, _ in table["regular"]]
        self._regular = [(opens, closes) for _, opens, closes in table["regular"]]
        self._early = {
            datetime.date.fromisoformat(day): (opens, closes)
            for day, (opens, closes) in table["early"].items()
        }
        self._holidays = {datetime.date.fromisoformat(day) for day in table["holidays"]}

    @classmethod
    @cache
    def of(cls, exchange: str) -> Self:
        """The hours of an exchange by its market identifier code, read once."""
        return cls(_tables()[exchange])

    def every_session(self) -> Iterator[tuple[datetime.date, tuple[int, int]]]:
        """Yield each session's day with the minutes of that day, in UTC, at which it opens and closes."""
        day = self._first
        while day <= self._last:
            if (times := self._times(day)) is not None:
                yield day, times
            day += _DAY

    def session_at(self, instant: datetime.datetime) -> Session | None:
        """The session that is open at `instant`, or None. It opens at its first moment, ends at its last."""
        session = self._session(self._date(instant))
        return session if session is not None and session.opens <= instant < session.closes else None

    def session_on(self, day: datetime.date) -> Session | None:
        """The session of a calendar day, None where the exchange is closed; raise ``OutOfTable``."""
        self._check(day)
        return self._session(day)

    def last_close(self, instant: datetime.datetime) -> datetime.datetime:
        """The newest close that is not after `instant`."""
        day = self._date(instant)
        while (session := self._session(day)) is None or session.closes > instant:
            day = self._date(datetime.datetime.combine(day - _DAY, datetime.time(), datetime.UTC))
        return session.closes

    def _date(self, instant: datetime.datetime) -> datetime.date:
        # Sessions of American exchanges begin and end on the same day in UTC.
        day = instant.astimezone(datetime.UTC).date()
        self._check(day)
        return day

    def _check(self, day: datetime.date) -> None:
        if not self._first <= day <= self._last:
            raise OutOfTable(f"exchange hours are known from {self._first} to {self._last}, not on {day}")

    def _session(self, day: datetime.date) -> Session | None:
        times = self._times(day)
        if times is None:
            return None
        midnight = datetime.datetime.combine(day, datetime.time(), datetime.UTC)
        opens, closes = (midnight + datetime.timedelta(minutes=minutes) for minutes in times)
        return Session(opens, closes)

    def _times(self, day: datetime.date) -> tuple[int, int] | None:
        if day.weekday() >= 5 or day in self._holidays:
            return None
        return self._early.get(day) or self._regular[bisect_right(self._since, day) - 1]
