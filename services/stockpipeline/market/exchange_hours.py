"""When an exchange is open, for programs that must stay small, such as the operator.

`SessionCalendar` knows the same from `exchange_calendars`, which brings pandas (100 MB of memory) along. This
reads a table made from it (`generate_exchange_hours`), with 2020 to 2035.
"""

import datetime
import json
from bisect import bisect_right
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple, Self

_TABLE = Path(__file__).with_name("exchange_hours.json")
_DAY = datetime.timedelta(days=1)


class Session(NamedTuple):
    """A trading day of an exchange: its regular hours, in UTC."""

    opens: datetime.datetime
    closes: datetime.datetime


class OutOfTable(ValueError):
    """The instant is before or after the years of the table."""


class ExchangeHours:
    """The sessions of one exchange. All times have a time zone."""

    def __init__(self, table: dict[str, Any]) -> None:
        self._first = datetime.date.fromisoformat(table["first"])
        self._last = datetime.date.fromisoformat(table["last"])
        self._since = [datetime.date.fromisoformat(day) for day, _, _ in table["regular"]]
        self._regular = [(opens, closes) for _, opens, closes in table["regular"]]
        self._early = {datetime.date.fromisoformat(day): times for day, times in table["early"].items()}
        self._holidays = {datetime.date.fromisoformat(day) for day in table["holidays"]}

    @classmethod
    @cache
    def of(cls, exchange: str) -> Self:
        """The hours of an exchange by its market identifier code, read once."""
        return cls(json.loads(_TABLE.read_text())[exchange])

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
        if day.weekday() >= 5 or day in self._holidays:
            return None
        times = self._early.get(day)
        if times is None:
            times = self._regular[bisect_right(self._since, day) - 1]
        midnight = datetime.datetime.combine(day, datetime.time(), datetime.UTC)
        opens, closes = (midnight + datetime.timedelta(minutes=minutes) for minutes in times)
        return Session(opens, closes)
