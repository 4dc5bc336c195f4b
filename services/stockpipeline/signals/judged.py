"""A detector that also follows what its signals would have earned.

The positions of a symbol are stored with its other state, as a record of their own: it is written when a
position changes, not with every tick.
"""

from collections.abc import Iterable, Mapping

from stockpipeline.api import Indicator, Rule
from stockpipeline.market.bars import BarSeries
from stockpipeline.market.calendar import SessionCalendar
from stockpipeline.market.ticks import Tick
from stockpipeline.signals.detector import Detector, Outcome, Restored, StateRecord, TickResult
from stockpipeline.signals.performance.judge import Judge, Measures
from stockpipeline.signals.performance.position import Quote
from stockpipeline.signals.performance.record import Performance
from stockpipeline.signals.state import performance_key


class JudgedDetector(Detector):
    """A ``Detector`` whose signals are judged by ``measures``.

    With ``own_benchmark``, all ticks of the benchmark come here, too, in the order of time with all others;
    otherwise they are given to ``on_benchmark``.
    """

    def __init__(
        self,
        pipeline: str,
        indicators: Iterable[Indicator],
        rules: Iterable[Rule],
        calendar: SessionCalendar,
        measures: Measures,
        *,
        own_benchmark: bool,
    ) -> None:
        super().__init__(pipeline, indicators, rules, calendar)
        self._judge = Judge(pipeline, measures, calendar)
        self._own_benchmark = measures.benchmark if own_benchmark else None
        self._newest: dict[str, Tick] = {}

    def warm_up(self, symbol: str, history: BarSeries) -> None:
        """See ``Detector.warm_up``; the symbol has no open positions then."""
        super().warm_up(symbol, history)
        self._judge.begin(symbol)
        self._newest.pop(symbol, None)

    def restore(self, symbol: str, records: Mapping[str, bytes]) -> Restored:
        """See ``Detector.restore``; takes over the open positions as well."""
        restored = super().restore(symbol, records)
        stored = records.get(performance_key(symbol))
        if stored is not None:
            self._judge.restore(symbol, stored)
        return restored

    def forget(self, symbol: str) -> None:
        """See ``Detector.forget``."""
        super().forget(symbol)
        self._judge.forget(symbol)
        self._newest.pop(symbol, None)

    def on_tick(self, tick: Tick) -> TickResult:
        """See ``Detector.on_tick``; a trade that is older than another changes no position."""
        result = super().on_tick(tick)
        if result.outcome is Outcome.ACCEPTED:
            self._newest[tick.symbol] = tick
            if tick.symbol == self._own_benchmark:
                self.on_benchmark(tick.ts, tick.price)
            self._judge.on_trade(tick.symbol, tick.ts, tick.price)
        for signal in result.signals:
            self._judge.open(signal)
        return result

    def on_benchmark(self, ts: int, price: float) -> None:
        """Take a trade of the benchmark, in the order of its trades."""
        assert self._judge.benchmark is not None
        self._judge.benchmark.on_trade(ts, price)

    def compare(self) -> list[str]:
        """Use what is known of the benchmark by now; return the symbols where that changed something."""
        return self._judge.compare()

    def news(self, symbol: str, *, live: bool) -> list[Performance]:
        """Return what is new of a symbol's signals since the last call; see ``Judge.news``."""
        newest = self._newest.get(symbol)
        return [] if newest is None else self._judge.news(symbol, Quote(newest.ts, newest.price), live=live)

    def results(self) -> list[Performance]:
        """Return the performance of all signals of which ``news`` has not told a final one."""
        self.compare()
        return [
            record
            for symbol, newest in self._newest.items()
            for record in self._judge.results(symbol, Quote(newest.ts, newest.price))
        ]

    def changes(self, symbol: str) -> list[StateRecord]:
        """See ``Detector.changes``; with the symbol's positions where they changed."""
        positions = self._judge.take_changes(symbol)
        records = super().changes(symbol)
        if positions is not None:
            records.append(StateRecord(performance_key(symbol), positions))
        return records
