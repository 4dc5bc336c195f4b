"""The tape of one symbol: its forming bar, and which ticks went into it. All that most ticks touch.

The attributes are plain and public, because every tick reads and writes them. They are fields of a C struct
(``services/native/lane.h``), so that the native path reads and writes the very same ones.
"""

from math import inf

from stockpipeline.market.periods import Period
from stockpipeline.market.ticks import Tick
from stockpipeline.signals.numbering import Gap, take
from stockpipeline.signals.state import FormingBar, Trade
from stockpipeline_native import TapeFields

NO_BAR = -1
NEVER_MS = (1 << 63) - 1


class Tape(TapeFields):
    """What the newest ticks of a symbol have made; prices as in ``Tick``, times in epoch ms."""

    __slots__ = ("gaps",)

    def __init__(self) -> None:
        self.bar = NO_BAR
        """The number of the forming bar (see ``market.periods``)."""
        self.opens_ms, self.closes_ms = 0, -1
        self.open = self.high = self.low = self.close = self.volume = 0.0
        self.newest_ms = 0
        """Event time of the newest trade of the bar: the one that ``close`` is of."""
        self.newest_number = 0
        self.gaps: list[Gap] = []
        """See ``numbering``."""
        self.trade_ms, self.trade_price, self.trade_volume = 0, 0.0, 0.0
        """The last tick without a number; 0 ms before the first."""
        self.quiet_low, self.quiet_high, self.quiet_until = -inf, inf, NEVER_MS
        """Trades at these prices, before this event time, matter to nobody but the bar and the rules."""

    @property
    def last_trade(self) -> Trade | None:
        """The last tick without a number, for storing."""
        return Trade(self.trade_ms, self.trade_price, self.trade_volume) if self.trade_ms else None

    @property
    def forming(self) -> FormingBar | None:
        """The forming bar, for storing; None before the first tick and after the clock closed it."""
        if self.bar == NO_BAR:
            return None
        prices = (self.open, self.high, self.low, self.close)
        return FormingBar(self.bar, *prices, self.volume, self.newest_ms)

    def is_new(self, tick: Tick) -> bool:
        """Note which tick this is and return True; return False and change nothing for a duplicate."""
        if tick.seq is not None:
            return take(self, tick.seq)
        trade = (tick.ts, tick.price, tick.volume)
        if trade == (self.trade_ms, self.trade_price, self.trade_volume):
            return False
        self.trade_ms, self.trade_price, self.trade_volume = trade
        return True

    def begin(self, period: Period, price: float) -> None:
        """Begin a bar with its first price, still without volume."""
        self.resume(period, FormingBar(period.bar, price, price, price, price, 0.0, 0))

    def resume(self, period: Period, bar: FormingBar) -> None:
        """Go on with a bar."""
        self.bar, self.opens_ms, self.closes_ms = period
        self.open, self.high, self.low, self.close = bar.open, bar.high, bar.low, bar.close
        self.volume, self.newest_ms = bar.volume, bar.ts

    def resume_ticks(self, number: int, gaps: list[Gap], trade: Trade | None) -> None:
        """Go on after these ticks."""
        self.newest_number, self.gaps = number, gaps
        if trade is not None:
            self.trade_ms, self.trade_price, self.trade_volume = trade.ts, trade.price, trade.volume

    def end(self) -> None:
        """Have no forming bar any more; which ticks were taken is kept."""
        self.bar = NO_BAR
        self.opens_ms, self.closes_ms = 0, -1

    def add(self, price: float, volume: float, ts: int) -> bool:
        """Let a trade revise the bar; return whether it is the newest of them."""
        self.volume += volume
        if price > self.high:
            self.high = price
        elif price < self.low:
            self.low = price
        if ts < self.newest_ms:
            return False
        self.newest_ms = ts
        self.close = price
        return True
