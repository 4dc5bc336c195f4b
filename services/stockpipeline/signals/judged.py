"""A detector that also follows what its signals would have earned.

The positions of a symbol are stored with its other state, as a record of their own: it is written when a
position changes, not with every tick.
"""

from collections import Counter
from collections.abc import Iterable, Mapping

from stockpipeline.api import Indicator, Rule
from stockpipeline.market.bars import BarSeries
from stockpipeline.market.calendar import SessionCalendar
from stockpipeline.market.corporate_actions import CorporateAction, Rescaling
from stockpipeline.market.ticks import Tick
from stockpipeline.signals.detector import Detector, Outcome, Restored, StateRecord, TickResult
from stockpipeline.signals.performance.judge import Judge, Measures, News
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
        minutes: int | None = None,
    ) -> None:
        super().__init__(pipeline, indicators, rules, calendar, minutes)
        self._judge = Judge(pipeline, measures, calendar)
        self._own_benchmark = measures.benchmark if own_benchmark else None

    def warm_up(self, symbol: str, history: BarSeries) -> None:
        """See ``Detector.warm_up``; the symbol has no open positions then."""
        super().warm_up(symbol, history)
        self._judge.begin(symbol)
        self._let_quiet_pass(symbol)

    def restore(self, symbol: str, records: Mapping[str, bytes]) -> Restored:
        """See ``Detector.restore``; takes over the open positions as well."""
        restored = super().restore(symbol, records)
        stored = records.get(performance_key(symbol))
        if stored is not None:
            self._judge.restore(symbol, stored)
            self._let_quiet_pass(symbol)
        return restored

    def forget(self, symbol: str) -> None:
        """See ``Detector.forget``."""
        super().forget(symbol)
        self._judge.forget(symbol)

    def on_tick(self, tick: Tick) -> TickResult:
        """See ``Detector.on_tick``; a trade that is older than another changes no position."""
        result = super().on_tick(tick)
        if result.outcome is Outcome.ACCEPTED:
            if tick.symbol == self._own_benchmark:
                self.on_benchmark(tick.ts, tick.price)
            self._judge.on_trade(tick.symbol, tick.ts, tick.price)
        for signal in result.signals:
            self._judge.open(signal)
        if result.outcome.accepted:
            self._let_quiet_pass(tick.symbol)
        return result

    def begin_benchmark(self, since_ms: int) -> None:
        """Forget the benchmark's trades: they are given anew, all from this event time on."""
        self._judge.begin_benchmark(since_ms)

    def apply(self, symbol: str, action: CorporateAction) -> Rescaling | None:
        """See ``Detector.apply``; the prices of open positions are rescaled as well."""
        change = super().apply(symbol, action)
        if change is not None:
            self._judge.rescale(symbol, change.price, self._periods.of(change.before).opens_ms)
            self._let_quiet_pass(symbol)
        return change

    def _let_quiet_pass(self, symbol: str) -> None:
        """Have only those trades come here that matter to a position, or to all as the benchmark's."""
        low, high, until_ms = self._judge.quiet(symbol)
        self.set_quiet(symbol, low, high, 0 if symbol == self._own_benchmark else until_ms)

    def on_benchmark(self, ts: int, price: float) -> None:
        """Take a trade of the benchmark, in the order of its trades."""
        assert self._judge.benchmark is not None
        self._judge.benchmark.on_trade(ts, price)

    def compare(self) -> list[str]:
        """Use what is known of the benchmark by now; return the symbols where that changed something."""
        return self._judge.compare()

    @property
    def benchmark(self) -> str | None:
        """The symbol that returns are compared with."""
        return None if self._judge.benchmark is None else self._judge.benchmark.symbol

    @property
    def oldest_wait(self) -> int | None:
        """See ``Judge.oldest_wait``."""
        return self._judge.oldest_wait

    def open_by_rule(self) -> Counter[str]:
        """See ``Judge.open_by_rule``."""
        return self._judge.open_by_rule()

    def news(self, symbol: str, live: int) -> News:
        """Return what is new of a symbol's signals since the last call; see ``Judge.news``."""
        return self._judge.news(symbol, self._quote(symbol), live)

    def results(self) -> list[Performance]:
        """Return the performance of all signals of which ``news`` has not told a final one."""
        self.compare()
        return [record for symbol in self.symbols for record in self.results_of(symbol)]

    def results_of(self, symbol: str) -> list[Performance]:
        """Return the performance of a symbol's signals of which ``news`` has not told a final one."""
        return self._judge.results(symbol, self._quote(symbol))

    def changes(self, symbol: str) -> list[StateRecord]:
        """See ``Detector.changes``; with the symbol's positions where they changed."""
        positions = self._judge.take_changes(symbol)
        records = super().changes(symbol)
        if positions is not None:
            records.append(StateRecord(performance_key(symbol), positions))
        return records

    def _quote(self, symbol: str) -> Quote | None:
        newest = self.newest_trade(symbol)
        return None if newest is None else Quote(*newest)
