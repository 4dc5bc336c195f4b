"""The sessions of an exchange: which trading day an instant belongs to, and when a day opens and closes.

The hours come from the table made from ``exchange_calendars`` (see ``exchange_hours``), read once into
sorted lists of integers, so that a lookup is a bisection.
"""

from bisect import bisect_left, bisect_right
from datetime import date
from difflib import get_close_matches
from functools import cache
from itertools import accumulate

from stockpipeline.market.exchange_hours import FIRST_DAY, LAST_DAY, ExchangeHours, exchanges
from stockpipeline.market.sessions import session_from_date, session_iso

__all__ = ["FIRST_DAY", "LAST_DAY", "SessionCalendar", "UnknownExchange", "UnknownSession"]

_MINUTES_A_DAY, _MS_A_MINUTE = 1440, 60_000


class UnknownExchange(ValueError):
    """The name is none of the exchanges whose hours are known (ISO 10383 codes such as XNAS)."""


class UnknownSession(ValueError):
    """The exchange does not trade on this day, or the day is outside of the calendar's years."""


class SessionCalendar:
    """The regular sessions of one exchange, 1990 to 2049."""

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
    if exchange not in exchanges():
        near = get_close_matches(exchange.upper(), exchanges(), n=3, cutoff=0.5)
        hint = f"; did you mean {' or '.join(near)}?" if near else f", known are {', '.join(exchanges())}"
        raise UnknownExchange(f"unknown exchange {exchange!r}{hint}")
    sessions, opens, closes = [], [], []
    for day, (opens_minute, closes_minute) in ExchangeHours.of(exchange).every_session():
        sessions.append(session_from_date(day))
        midnight = sessions[-1] * _MINUTES_A_DAY
        opens.append((midnight + opens_minute) * _MS_A_MINUTE)
        closes.append((midnight + closes_minute) * _MS_A_MINUTE)
    return sessions, opens, closes
