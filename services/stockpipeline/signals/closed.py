"""The closed bars of one symbol: its history, and the bars that ticks have made since.

Bars are kept and stored as they were traded; splits and dividends are kept beside them and applied whenever
the indicators take bars in. So a restored symbol sees the very same numbers as one that was never stopped.

Intraday bars come by the hundred a day. Where there is a window, older bars are forgotten, both here and in
the store, each time there are twice as many: the indicators then begin anew on the window. That depends on
the bars alone, so that a restored symbol does it at the same bar.
"""

from collections.abc import Iterable, Sequence

from stockpipeline.market.bars import Bar, BarSeries
from stockpipeline.market.corporate_actions import Rescaling, rescale, rescale_bar
from stockpipeline.signals.state import StateRecord, bar_record, forgotten_bar_record

_NONE = -1


class ClosedBars:
    """See the module; bars are in order, and those of the history come first."""

    def __init__(self, history: BarSeries, window: int | None = None) -> None:
        self._history = history
        self._window = window
        self._since: list[Bar] = []
        self._unstored: list[Bar] = []
        self._forgotten: list[Bar] = []
        self.rescalings: list[Rescaling] = []
        self.first = _NONE
        """Bars before this number are forgotten."""
        self.last = int(history.sessions[-1]) if len(history) else _NONE
        """The number of the newest bar."""

    @property
    def since_history(self) -> int:
        """How many bars came after the history and are not forgotten."""
        return len(self._since)

    def close_before(self, number: int) -> float | None:
        """Return the close of the last bar before this number, as it was traded; None where there is none."""
        for bar in reversed(self._since):
            if bar.session < number:
                return bar.close
        earlier = int((self._history.sessions < number).sum())
        return float(self._history.close[earlier - 1]) if earlier else None

    def series(self) -> BarSeries:
        """Return all bars that are not forgotten, at today's terms."""
        since = BarSeries.from_bars(rescale_bar(bar, self.rescalings) for bar in self._since)
        return rescale(self._history, self.rescalings).joined(since)

    def add(self, bar: Bar) -> Bar:
        """Take a bar that was just closed; return it at today's terms."""
        self._since.append(bar)
        self._unstored.append(bar)
        self.last = bar.session
        return rescale_bar(bar, self.rescalings)

    def resume(self, bars: Sequence[Bar], rescalings: Iterable[Rescaling], first: int) -> None:
        """Take stored bars, which come after the history, and what else was stored with them."""
        self._since = list(bars)
        self.rescalings = list(rescalings)
        if bars:
            self.last = bars[-1].session
        if first > self.first:
            self._forget_before(first)

    def forget_old(self) -> bool:
        """Forget what is out of the window; return whether there was anything."""
        if self._window is None or len(self._history) + len(self._since) < 2 * self._window:
            return False
        numbers = [*self._history.sessions.tolist(), *(bar.session for bar in self._since)]
        first = numbers[-self._window]
        self._forgotten += [bar for bar in self._since if bar.session < first]
        self._forget_before(first)
        return True

    def changes(self, symbol: str) -> list[StateRecord]:
        """Return the records to store: new bars, and which ones are not needed any more."""
        if not self._unstored and not self._forgotten:
            return []
        new, self._unstored = self._unstored, []
        old, self._forgotten = self._forgotten, []
        forgotten = {bar.session for bar in old}
        return [
            *(bar_record(symbol, bar) for bar in new if bar.session not in forgotten),
            *(forgotten_bar_record(symbol, bar) for bar in old),
        ]

    def _forget_before(self, first: int) -> None:
        self.first = first
        self._history = self._history[int((self._history.sessions < first).sum()) :]
        self._since = [bar for bar in self._since if bar.session >= first]
        # What happened before all remaining bars has nothing left to rescale.
        self.rescalings = [scaling for scaling in self.rescalings if scaling.before > first]
