"""Sessions and bars as integers: a session is the days from 1970-01-01 to the local date of a trading day.

An integer costs nothing to compare, to store in a column or to send in a snapshot; people see ISO dates.
A daily bar has the number of its session, an intraday bar that of the minute it opens in, counted from
1970-01-01T00:00Z. The two ranges do not overlap, so that a number says by itself which kind it is.
"""

from datetime import UTC, date, datetime, timedelta

_EPOCH = date(1970, 1, 1)
_FIRST_MINUTE = 100_000
"""Below it a number is a day (until 2243), from it on a minute (since March 1970)."""


def session_from_date(day: date) -> int:
    """Return the session number of a calendar date (1970-01-01 is 0)."""
    return (day - _EPOCH).days


def session_date(session: int) -> date:
    """Return the calendar date of a session number."""
    return _EPOCH + timedelta(days=session)


def session_iso(session: int) -> str:
    """Return the session as an ISO date, e.g. ``2004-01-02``."""
    return session_date(session).isoformat()


def bar_iso(bar: int) -> str:
    """Return a bar's number for people and messages: ``2004-01-02``, or ``2004-01-02T14:30Z`` intraday."""
    if bar < _FIRST_MINUTE:
        return session_iso(bar)
    return datetime.fromtimestamp(bar * 60, UTC).strftime("%Y-%m-%dT%H:%MZ")
