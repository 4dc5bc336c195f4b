"""When a signal's return is taken: so much trading time after its entry.

Trading time only passes in the exchange's regular sessions. Minutes and hours are counted inside them, so one
hour after 15:30 is 10:00 of the next session. Days are sessions: ``1d`` after 11:00 is 11:00 in the next
session, as long after its open as the entry was after that day's, or its close where it ends before that.
"""

import re
from typing import NamedTuple

from stockpipeline.market.calendar import SessionCalendar

_FORM = re.compile(r"([1-9][0-9]{0,3})([mhd])")
_MINUTE_MS = 60_000


class Horizon(NamedTuple):
    """A horizon: its name, and either trading time in ms or sessions (the other one is 0)."""

    name: str
    trading_ms: int
    sessions: int

    def due(self, calendar: SessionCalendar, entry_ms: int) -> int:
        """Return when the return of an entry at this instant of a session is to be taken, in epoch ms.

        Raises ``UnknownSession`` where the calendar ends before that.
        """
        if not self.sessions:
            return calendar.at_trading_ms(calendar.trading_ms(entry_ms) + self.trading_ms)
        session = calendar.session_of(entry_ms)
        assert session is not None  # entries are made by trades of a regular session
        opens, _ = calendar.open_close_ms(session)
        later_opens, later_closes = calendar.open_close_ms(calendar.later_session(session, self.sessions))
        return min(later_opens + entry_ms - opens, later_closes)


def parse_horizon(text: str) -> Horizon:
    """Return the horizon called ``30m``, ``1h`` or ``5d``; raise ``ValueError`` for other texts."""
    form = _FORM.fullmatch(text)
    if form is None:
        raise ValueError(f"{text!r} is no horizon: minutes, hours or sessions such as 30m, 1h, 5d")
    count = int(form[1])
    if form[2] == "d":
        return Horizon(text, 0, count)
    return Horizon(text, count * _MINUTE_MS * (60 if form[2] == "h" else 1), 0)
