"""Sessions as integers: days from 1970-01-01 to the local date of a trading day.

An integer costs nothing to compare, to store in a column or to send in a snapshot; people see ISO dates.
"""

from datetime import date, timedelta

_EPOCH = date(1970, 1, 1)


def session_from_date(day: date) -> int:
    """Return the session number of a calendar date (1970-01-01 is 0)."""
    return (day - _EPOCH).days


def session_date(session: int) -> date:
    """Return the calendar date of a session number."""
    return _EPOCH + timedelta(days=session)


def session_iso(session: int) -> str:
    """Return the session as an ISO date, e.g. ``2004-01-02``."""
    return session_date(session).isoformat()
