"""The pure core of the signal detector: ticks in, signals out, state as records. No clock, no I/O.

    detector = Detector("default/demo", indicators, rules, SessionCalendar("XNAS"))
    detector.warm_up("AAPL", history)
    result = detector.on_tick(tick)          # result.outcome, result.signals
    records = detector.changes("AAPL")       # for the compacted state topic, with the signals

``warm_up`` and then ``restore`` bring a symbol back to where its records were written; from there on, the
same ticks give the same signals, to the bit. How each tick counts is ``symbol.SymbolDetector``'s matter.
"""

from collections.abc import Iterable, Mapping

from stockpipeline.api import Indicator, Rule
from stockpipeline.indicators.engine import Plan
from stockpipeline.market.bars import BarSeries
from stockpipeline.market.calendar import SessionCalendar
from stockpipeline.market.corporate_actions import CorporateAction, Rescaling
from stockpipeline.market.periods import Periods
from stockpipeline.market.ticks import MAX_EVENT_TIME_MS, MAX_PRICE, MAX_VOLUME, MarketSession, Tick
from stockpipeline.signals.outcome import IndicatorValue, Outcome, Readiness, TickResult
from stockpipeline.signals.reading import readings
from stockpipeline.signals.rules import compile_rule
from stockpipeline.signals.state import Restored, StateRecord
from stockpipeline.signals.symbol import SymbolDetector
from stockpipeline.signals.watch import Programs
from stockpipeline_native import Lane

__all__ = ["Detector", "IndicatorValue", "Outcome", "Readiness", "Restored", "StateRecord", "TickResult"]

_MALFORMED = TickResult(Outcome.MALFORMED, ())
_UNKNOWN_SYMBOL = TickResult(Outcome.UNKNOWN_SYMBOL, ())


class Detector:
    """The detector of one pipeline (``NAMESPACE/NAME``), over the symbols that were warmed up.

    Bars are daily, or of so many ``minutes`` of the exchange's sessions.

    Raises ``IndicatorError`` or ``RuleError`` for a configuration that cannot be computed.
    """

    def __init__(
        self,
        pipeline: str,
        indicators: Iterable[Indicator],
        rules: Iterable[Rule],
        calendar: SessionCalendar,
        minutes: int | None = None,
    ) -> None:
        self._pipeline = pipeline
        self._periods = Periods(calendar, minutes)
        self._plan = Plan(indicators, self._periods.session_start)
        compiled = [compile_rule(rule, self._plan.slots) for rule in rules]
        # Only regular sessions make bars, so a rule that does not look at them has nothing to look at.
        regular = [
            rule for rule in compiled if rule.sessions is None or MarketSession.REGULAR in rule.sessions
        ]
        self._readings = readings(self._plan, regular)
        self.daily = minutes is None
        """Whether bars are sessions; the packaged bars, and those of files, are history of such bars only."""
        self._programs = Programs(self._readings, self._plan.width)
        self._symbols: dict[str, SymbolDetector] = {}
        self.generation = 0
        """Grows whenever symbols come or go."""

    @property
    def minimum_bars(self) -> int:
        """Closed bars that a symbol needs before all of its rules can signal."""
        return self._plan.minimum_bars

    @property
    def room(self) -> int:
        """The values that the native path needs room for."""
        return self._programs.room

    @property
    def lanes(self) -> dict[str, Lane]:
        """Each symbol's ticks for the native path (see ``fastpath``)."""
        return {name: symbol.lane for name, symbol in self._symbols.items()}

    def warm_up(self, symbol: str, history: BarSeries) -> None:
        """Begin, or begin anew, with a symbol at its history; an empty one fills up with the ticks' bars."""
        self.generation += 1
        self._symbols[symbol] = SymbolDetector(
            self._pipeline, symbol, self._plan, self._readings, self._periods, history, self._programs
        )

    def restore(self, symbol: str, records: Mapping[str, bytes]) -> Restored:
        """Bring a symbol that was just warmed up to the state of its records (key → newest value).

        Raises ``BrokenState`` for records that cannot be read or are incomplete.
        """
        return self._symbols[symbol].restore(records)

    def forget(self, symbol: str) -> None:
        """Drop a symbol that another detector has now, or whose state is ahead of what was committed."""
        self.generation += 1
        self._symbols.pop(symbol, None)

    def on_tick(self, tick: Tick) -> TickResult:
        """Take one tick; a refused one leaves the state as it was."""
        symbol = self._symbols.get(tick.symbol)
        if symbol is None:
            return _UNKNOWN_SYMBOL
        if not (
            0.0 < tick.price < MAX_PRICE
            and 0.0 <= tick.volume < MAX_VOLUME
            and 0 < tick.ts < MAX_EVENT_TIME_MS
        ):
            return _MALFORMED
        return symbol.on_tick(tick)

    @property
    def symbols(self) -> list[str]:
        """The symbols that were warmed up."""
        return list(self._symbols)

    def set_quiet(self, symbol: str, low: float, high: float, until_ms: int) -> None:
        """Let trades at prices from low to high, before an event time, go by a subclass's ``on_tick``.

        That is for the native path (see ``fastpath``), which knows only what ``Detector.on_tick`` would do.
        """
        self._symbols[symbol].set_quiet(low, high, until_ms)

    def newest_trade(self, symbol: str) -> tuple[int, float] | None:
        """Return event time (epoch ms) and price of the symbol's newest trade; None before its first."""
        return self._symbols[symbol].newest_trade

    def values(self, symbol: str) -> dict[str, IndicatorValue]:
        """Return every indicator value on the symbol's forming bar, by name; the symbol had a tick."""
        return self._symbols[symbol].values()

    def close_before(self, now_ms: int, symbols: Iterable[str]) -> list[str]:
        """Close the forming bars of these symbols whose time was over before an instant; return which had.

        For live markets, where the last tick of a day should not wait for the next day to close its bar.
        Ticks of a closed bar are late; so ``now_ms`` leaves them time to arrive. Without this, and always in
        a replay, it is the first tick of a later bar that closes the one before.
        """
        return [symbol for symbol in symbols if self._symbols[symbol].close_before(now_ms)]

    def apply(self, symbol: str, action: CorporateAction) -> Rescaling | None:
        """Let a symbol trade at new terms from the action's session on: rescale all of its bars before.

        Returns how; or None, and changes nothing, where it was applied before, is part of the history, or
        has no bar before it. A bar of an earlier session that still forms is closed.

        Raises ``ImpossibleAction`` for a split or dividend that cannot be, and ``KeyError`` for a symbol that
        was not warmed up.
        """
        return self._symbols[symbol].apply(action)

    def last_session(self, symbol: str) -> int | None:
        """Return the session of the symbol's newest bar, forming or closed; None when it has no bar."""
        return self._symbols[symbol].last_session if symbol in self._symbols else None

    def changes(self, symbol: str) -> list[StateRecord]:
        """Return the records to store: the snapshot, and the bars that came or went since the last call."""
        return self._symbols[symbol].changes()

    def readiness(self, symbol: str) -> Readiness:
        """Return whether all rules of the symbol can signal, and if not, why."""
        if symbol not in self._symbols:
            return Readiness(False, f"{symbol} has no history yet")
        return self._symbols[symbol].readiness()
