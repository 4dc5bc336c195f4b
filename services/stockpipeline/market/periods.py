"""Bars in time: which bar an instant belongs to, and when a bar opens and closes.

A bar is named by one number, which grows with time. A daily bar has the number of its session (days since
1970-01-01); an intraday bar that of the minute it opens in (minutes since 1970-01-01T00:00Z). The two ranges
do not overlap, so that a number says by itself which kind it is.

Intraday bars are aligned to the session's open, not to the hour: on XNYS, bars of an hour open at 9:30,
10:30, …, and the last one (15:30) ends with the session. So it is with half days and daylight saving: what
counts is when the exchange really opens and closes.
"""

from typing import NamedTuple

from stockpipeline.market.calendar import SessionCalendar
from stockpipeline.market.sessions import bar_iso

_MINUTE_MS = 60_000


class UnknownBar(ValueError):
    """No bar of the exchange has this number."""


class Period(NamedTuple):
    """The time of one bar: its number, and its first and last millisecond (epoch)."""

    bar: int
    opens_ms: int
    closes_ms: int


class Periods:
    """The bars of one exchange: one a session, or one in so many minutes of it."""

    def __init__(self, calendar: SessionCalendar, minutes: int | None = None) -> None:
        if minutes is not None and not 1 <= minutes <= 24 * 60:
            raise ValueError(f"intraday bars take 1 to {24 * 60} minutes, not {minutes}")
        self.calendar = calendar
        self.minutes = minutes

    @property
    def unit(self) -> str:
        """What one bar is, in words: "daily", "5-minute"."""
        return "daily" if self.minutes is None else f"{self.minutes}-minute"

    def at(self, ts_ms: int) -> Period | None:
        """Return the period of this instant (epoch ms), or None outside of the exchange's sessions.

        The instant of a session's close belongs to its last bar: closing auctions are stamped with it.
        """
        session = self.calendar.session_of(ts_ms)
        if session is None:
            return None
        opens, closes = self.calendar.open_close_ms(session)
        if self.minutes is None:
            return Period(session, opens, closes)
        length = self.minutes * _MINUTE_MS
        bars = -(-(closes - opens) // length)
        index = min((ts_ms - opens) // length, bars - 1)
        start = opens + index * length
        end = closes if index == bars - 1 else start + length - 1
        return Period(start // _MINUTE_MS, start, end)

    def of(self, bar: int) -> Period:
        """Return the period of a bar; raise ``UnknownSession`` or ``UnknownBar`` for other numbers."""
        if self.minutes is None:
            return Period(bar, *self.calendar.open_close_ms(bar))
        period = self.at(bar * _MINUTE_MS)
        if period is None or period.bar != bar:
            raise UnknownBar(f"{self.calendar.exchange} has no {self.unit} bar that opens at {bar_iso(bar)}")
        return period

    def session_start(self, bar: int) -> int:
        """Return the first bar of the session that a bar is of; raise as ``of`` does."""
        if self.minutes is None:
            return bar
        opens_ms, _ = self.calendar.open_close_ms(self.session_of(bar))
        return opens_ms // _MINUTE_MS

    def session_of(self, bar: int) -> int:
        """Return the session that a bar is of; raise as ``of`` does."""
        session = self.calendar.session_of(self.of(bar).opens_ms)
        assert session is not None
        return session
