"""The tape of one symbol: its forming bar, and which ticks went into it. All that most ticks touch.

The attributes are plain and public, because every tick reads and writes them.
"""

from stockpipeline.market.periods import Period
from stockpipeline.market.ticks import Tick
from stockpipeline.signals.numbering import Gap, take
from stockpipeline.signals.state import FormingBar, Trade

NO_BAR = -1


class Tape:
    """What the newest ticks of a symbol have made; prices as in ``Tick``, times in epoch ms."""

    __slots__ = (
        "bar",
        "close",
        "closes_ms",
        "gaps",
        "high",
        "last_trade",
        "low",
        "newest_ms",
        "newest_number",
        "open",
        "opens_ms",
        "volume",
    )

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
        self.last_trade: Trade | None = None
        """The last tick without a number."""

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
        trade = Trade(tick.ts, tick.price, tick.volume)
        if trade == self.last_trade:
            return False
        self.last_trade = trade
        return True

    def begin(self, period: Period, price: float) -> None:
        """Begin a bar with its first price, still without volume."""
        self.resume(period, FormingBar(period.bar, price, price, price, price, 0.0, 0))

    def resume(self, period: Period, bar: FormingBar) -> None:
        """Go on with a bar."""
        self.bar, self.opens_ms, self.closes_ms = period
        self.open, self.high, self.low, self.close = bar.open, bar.high, bar.low, bar.close
        self.volume, self.newest_ms = bar.volume, bar.ts

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
