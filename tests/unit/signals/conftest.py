"""A market for the detector's tests: real history up to a day, and ticks of the sessions after it."""

from collections.abc import Iterable
from datetime import date

import pytest

from stockpipeline.api import DEFAULT_INDICATORS, DEFAULT_RULES, Rule
from stockpipeline.market.bars import BarSeries
from stockpipeline.market.calendar import SessionCalendar
from stockpipeline.market.packaged import packaged_bars
from stockpipeline.market.ticks import MarketSession, Tick
from stockpipeline.signals.detector import Detector

START = date(2008, 9, 15)


class Market:
    """AAPL from a day in 2008 on."""

    symbol = "AAPL"

    def __init__(self, calendar: SessionCalendar) -> None:
        self.calendar = calendar
        bars = packaged_bars(self.symbol)
        self.history = bars.before(START).last(300)
        self.future = bars.since(START)[:60]
        self.sessions = self.future.sessions.tolist()
        self.last_close = float(self.history.close[-1])

    def detector(self, rules: Iterable[Rule] = DEFAULT_RULES, history: BarSeries | None = None) -> Detector:
        """Return a detector that is warmed up."""
        detector = Detector("default/demo", DEFAULT_INDICATORS, rules, self.calendar)
        detector.warm_up(self.symbol, self.history if history is None else history)
        return detector

    def tick(
        self,
        price: float,
        day: int = 0,
        at: float = 0.5,
        seq: int | None = None,
        volume: float = 100.0,
    ) -> Tick:
        """Return a tick of the day-th session, at a fraction of it."""
        opens, closes = self.calendar.open_close_ms(self.sessions[day])
        ts = opens + round((closes - opens) * at)
        return Tick(self.symbol, price, volume, ts, "replay", MarketSession.REGULAR, seq)


@pytest.fixture(scope="session")
def market(calendar: SessionCalendar) -> Market:
    return Market(calendar)
