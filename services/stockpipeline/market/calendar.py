"""The sessions of an exchange: which trading day an instant belongs to, and when a day opens and closes.

Backed by ``exchange_calendars`` (holidays, half days, daylight saving), read once into sorted integer tables,
so that a lookup is a bisection and pandas stays out of the hot path.
"""

from bisect import bisect_left, bisect_right
from datetime import date
from difflib import get_close_matches
from functools import cache
from itertools import accumulate
from typing import TYPE_CHECKING

import numpy as np

from stockpipeline.market.sessions import session_from_date, session_iso

if TYPE_CHECKING:
    import pandas as pd

FIRST_DAY, LAST_DAY = date(1990, 1, 1), date(2049, 12, 31)


class UnknownExchange(ValueError):
    """The name is no exchange of ``exchange_calendars`` (ISO 10383 codes such as XNAS or XKRX)."""


class UnknownSession(ValueError):
    """The exchange does not trade on this day, or the day is outside of the calendar's years."""


class SessionCalendar:
    """The regular sessions of one exchange, 1990 to 2049 (fewer where its holidays are not known)."""

    def __init__(self, exchange: str) -> None:
        self.exchange = exchange
        self._sessions, self._opens, self._closes = _load(exchange)
        lengths = (closes - opens for opens, closes in zip(self._opens, self._closes, strict=True))
        self._traded_before = [0, *accumulate(lengths)][:-1]
        """For each session, how long the exchange was open in all of those before it, in ms."""

    def session_of(self, ts_ms: int) -> int | None:
        """Return the session that is open at this instant (epoch ms, both ends included), or None."""
        index = bisect_right(self._opens, ts_ms) - 1
        if index < 0 or ts_ms > self._closes[index]:
            return None
        return self._sessions[index]

    def open_close_ms(self, session: int) -> tuple[int, int]:
        """Return when the session opens and closes, in epoch ms; raise ``UnknownSession`` for other days."""
        index = bisect_left(self._sessions, session)
        if index == len(self._sessions) or self._sessions[index] != session:
            raise UnknownSession(f"{self.exchange} has no session on {session_iso(session)}")
        return self._opens[index], self._closes[index]

    def sessions_between(self, first: date, last: date) -> list[int]:
        """Return the sessions from ``first`` to ``last``, both included, in order."""
        begin = bisect_left(self._sessions, session_from_date(first))
        end = bisect_right(self._sessions, session_from_date(last))
        return self._sessions[begin:end]

    def later_session(self, session: int, count: int) -> int:
        """Return the session ``count`` sessions after this day (0: the day itself, or the next one).

        Raises ``UnknownSession`` past the calendar's last year.
        """
        index = bisect_left(self._sessions, session) + count
        if index >= len(self._sessions):
            raise UnknownSession(f"{self.exchange} has no session {count} after {session_iso(session)}")
        return self._sessions[index]

    def trading_ms(self, ts_ms: int) -> int:
        """Return how long the exchange was open from the calendar's beginning to this instant, in ms."""
        index = bisect_right(self._opens, ts_ms) - 1
        if index < 0:
            return 0
        return self._traded_before[index] + min(ts_ms, self._closes[index]) - self._opens[index]

    def at_trading_ms(self, trading_ms: int) -> int:
        """Return the first instant (epoch ms) at which ``trading_ms`` gives this; the inverse of it.

        Raises ``UnknownSession`` past the calendar's last year.
        """
        # The first session whose end is not before it: a time that is just used up at a close ends there.
        index = max(0, bisect_left(self._traded_before, trading_ms) - 1)
        instant = self._opens[index] + trading_ms - self._traded_before[index]
        if instant > self._closes[index]:
            raise UnknownSession(f"{self.exchange} has no known session so late")
        return instant

    def next_session(self, session: int) -> int:
        """Return the first session after this day; raise ``UnknownSession`` past the calendar's last year."""
        index = bisect_right(self._sessions, session)
        if index == len(self._sessions):
            raise UnknownSession(f"{self.exchange} has no known session after {session_iso(session)}")
        return self._sessions[index]

    def last_closed(self, ts_ms: int) -> int:
        """Return the newest session that was over at this instant (epoch ms).

        Raises ``UnknownSession`` before the end of the calendar's first session.
        """
        index = bisect_left(self._closes, ts_ms) - 1
        if index < 0:
            raise UnknownSession(f"{self.exchange} has no known session so early")
        return self._sessions[index]


@cache
def _load(exchange: str) -> tuple[list[int], list[int], list[int]]:
    """Return (sessions, opens, closes) as lists: bisecting a list of ints beats a numpy scalar lookup."""
    # Imported here because it brings pandas, which nothing else in the core needs.
    import exchange_calendars
    import pandas as pd
    from exchange_calendars.errors import InvalidCalendarName

    start, end = pd.Timestamp(FIRST_DAY), pd.Timestamp(LAST_DAY)
    try:
        calendar = exchange_calendars.get_calendar(exchange, start=start, end=end)
    except InvalidCalendarName:
        near = get_close_matches(exchange.upper(), exchange_calendars.get_calendar_names(), n=3, cutoff=0.5)
        hint = f"; did you mean {' or '.join(near)}?" if near else ""
        raise UnknownExchange(f"unknown exchange {exchange!r}{hint}") from None
    except ValueError:
        # Its holidays are not known for all of the years. To ask for the bounds takes a whole calendar more.
        kind = type(exchange_calendars.get_calendar(exchange))
        start, end = max(start, kind.bound_min() or start), min(end, kind.bound_max() or end)
        calendar = exchange_calendars.get_calendar(exchange, start=start, end=end)
    return (
        calendar.sessions.to_numpy().astype("datetime64[D]").astype(np.int64).tolist(),
        _epoch_ms(calendar.opens),
        _epoch_ms(calendar.closes),
    )


def _epoch_ms(instants: "pd.Series[pd.Timestamp]") -> list[int]:
    values: list[int] = instants.to_numpy(dtype="datetime64[ms]").astype(np.int64).tolist()
    return values
