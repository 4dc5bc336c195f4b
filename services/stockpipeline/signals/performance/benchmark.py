"""The prices that signals are compared with: trades of one symbol, in the order of their times.

What counts for an instant is the first trade at or after it, as it is for entries and exits. So it does not
matter whether the benchmark's trades come before or after those of the symbol that is compared with it.
"""

from array import array
from bisect import bisect_left

MOST_TRADES = 1_000_000
"""About a day of the most traded shares; older trades are forgotten, half of them at a time."""


class Benchmark:
    """The trades of the benchmark."""

    def __init__(self, symbol: str) -> None:
        self.symbol = symbol
        self._since_ms = 0
        """From when on no trade is missing."""
        self._times = array("q")
        self._prices = array("d")

    def on_trade(self, ts: int, price: float) -> None:
        """Take a trade; one that is older than another is left out, as it is for entries and exits."""
        if self._times and ts < self._times[-1]:
            return
        if len(self._times) >= MOST_TRADES:
            del self._times[: MOST_TRADES // 2]
            del self._prices[: MOST_TRADES // 2]
            self._since_ms = self._times[0]
        self._times.append(ts)
        self._prices.append(price)

    def begin(self, since_ms: int) -> None:
        """Forget all trades; from this event time on, all come."""
        del self._times[:]
        del self._prices[:]
        self._since_ms = since_ms

    def price_at(self, ts: int) -> float | None:
        """Return the price of the first trade at or after this time; None while it is not known."""
        if ts < self._since_ms:
            return None
        index = bisect_left(self._times, ts)
        return self._prices[index] if index < len(self._times) else None
