"""Which kind of session an instant is in, by the exchange's calendar."""

from stockpipeline.market.calendar import SessionCalendar
from stockpipeline.market.ticks import MarketSession

# US exchanges' late trading ends four hours after the close; what comes later belongs to the next session.
_POST_MS = 4 * 3600 * 1000
_PRE_MS = 11 * 1800 * 1000
"""Early trading begins at four in the morning, five and a half hours before the open."""


class SessionKind:
    """Says it for event times; keeps the session that is open, because the next tick is in it as well."""

    def __init__(self, calendar: SessionCalendar) -> None:
        self._calendar = calendar
        self._opens_ms, self._closes_ms = 0, -1

    def __call__(self, ts_ms: int) -> MarketSession:
        """Return the kind of session at this epoch ms."""
        if self._opens_ms <= ts_ms <= self._closes_ms:
            return MarketSession.REGULAR
        session = self._calendar.session_of(ts_ms)
        if session is not None:
            self._opens_ms, self._closes_ms = self._calendar.open_close_ms(session)
            return MarketSession.REGULAR
        last_close = self._calendar.at_trading_ms(self._calendar.trading_ms(ts_ms))
        return MarketSession.POST if 0 <= ts_ms - last_close <= _POST_MS else MarketSession.PRE

    def trading(self, ts_ms: int) -> bool:
        """Return whether there may be trades at this epoch ms: in the session, or early or late trading."""
        if self(ts_ms) is not MarketSession.PRE:
            return True
        next_open = self._calendar.at_trading_ms(self._calendar.trading_ms(ts_ms) + 1) - 1
        return next_open - ts_ms <= _PRE_MS
