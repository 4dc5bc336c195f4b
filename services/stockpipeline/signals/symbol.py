"""One symbol in the detector: which ticks count, the forming bar that they revise, and the rules on it.

A tick is refused, and changes nothing, when it is outside of the exchange's regular sessions, late (its
bar is already closed by a tick of a later one or by the clock, or part of the history) or a duplicate (its
number was taken, or, without a number, it repeats time, price and volume of the tick before). A tick that is
older than another of its bar still counts: it may move high, low and volume, but not open and close. A tick
of a later bar closes the forming one. Rules are then evaluated on the forming bar, as of its newest trade.
"""

from collections.abc import Mapping, Sequence

from stockpipeline.indicators.engine import Plan
from stockpipeline.market.bars import Bar, BarSeries
from stockpipeline.market.corporate_actions import CorporateAction, Rescaling, rescaling
from stockpipeline.market.periods import Period, Periods
from stockpipeline.market.sessions import bar_iso
from stockpipeline.market.ticks import MarketSession, Tick
from stockpipeline.signals.closed import ClosedBars
from stockpipeline.signals.evaluation import Evaluator, Firing
from stockpipeline.signals.outcome import IndicatorValue, Outcome, Readiness, TickResult
from stockpipeline.signals.reading import Reading
from stockpipeline.signals.signal import Signal, signal_id
from stockpipeline.signals.state import (
    VERSION,
    BrokenState,
    Restored,
    Snapshot,
    StateRecord,
    newer_than,
    read_records,
    snapshot_record,
)
from stockpipeline.signals.tape import NO_BAR, Tape
from stockpipeline.signals.watch import Programs, Watch
from stockpipeline_native import Lane

_FEWEST_KEPT_BARS = 500
_KEPT_WARM_UPS = 3
"""Intraday, so many times the bars that the slowest indicator needs are kept: by then its seed has long lost
any weight."""

_ACCEPTED = TickResult(Outcome.ACCEPTED, ())
_OUT_OF_ORDER = TickResult(Outcome.OUT_OF_ORDER, ())
_LATE = TickResult(Outcome.LATE, ())
_DUPLICATE = TickResult(Outcome.DUPLICATE, ())
_OUTSIDE_SESSION = TickResult(Outcome.OUTSIDE_SESSION, ())


class SymbolDetector:
    """The state of one symbol (see the module)."""

    def __init__(
        self,
        pipeline: str,
        symbol: str,
        plan: Plan,
        readings: Sequence[Reading],
        periods: Periods,
        history: BarSeries,
        programs: Programs,
    ) -> None:
        self._pipeline = pipeline
        self._symbol = symbol
        self._plan = plan
        self._periods = periods
        self._history_digest = history.digest()
        self._history_end = int(history.sessions[-1]) if len(history) else NO_BAR
        window = max(_FEWEST_KEPT_BARS, _KEPT_WARM_UPS * plan.minimum_bars)
        self._closed = ClosedBars(history, None if periods.minutes is None else window)
        self._tape = Tape()
        self._watch = Watch(symbol, self._tape, programs)
        self._evaluator = Evaluator(plan, readings, history, self._watch)

    @property
    def lane(self) -> Lane:
        """The symbol's ticks for the native path."""
        return self._watch.lane

    @property
    def newest_trade(self) -> tuple[int, float] | None:
        """Event time and price of the newest trade; see ``Detector.newest_trade``."""
        return (self._tape.newest_ms, self._tape.close) if self._tape.newest_ms else None

    def set_quiet(self, low: float, high: float, until_ms: int) -> None:
        """See ``Detector.set_quiet``."""
        self._tape.quiet_low, self._tape.quiet_high, self._tape.quiet_until = low, high, until_ms

    @property
    def last_session(self) -> int | None:
        """The session of the newest bar; see ``Detector.last_session``."""
        newest = self._tape.bar if self._tape.bar != NO_BAR else self._closed.last
        if newest == NO_BAR:
            return None
        return self._periods.session_of(newest)

    def on_tick(self, tick: Tick) -> TickResult:
        """Take one well-formed tick of this symbol."""
        if tick.session is not MarketSession.REGULAR:
            return _OUTSIDE_SESSION
        tape, ts = self._tape, tick.ts
        period: Period | None = None
        if not tape.opens_ms <= ts <= tape.closes_ms:
            period = self._periods.at(ts)
            if period is None:
                return _OUTSIDE_SESSION
            if period.bar <= self._closed.last or period.bar < tape.bar:
                return _LATE
        if not tape.is_new(tick):
            return _DUPLICATE
        if period is not None:
            self._close_forming()
            tape.begin(period, tick.price)
        in_order = tape.add(tick.price, tick.volume, ts)
        firings = self._evaluator.evaluate(tape)
        if firings:
            signals = tuple(self._signal(firing, tick.source) for firing in firings)
            return TickResult(Outcome.ACCEPTED if in_order else Outcome.OUT_OF_ORDER, signals)
        return _ACCEPTED if in_order else _OUT_OF_ORDER

    def close_before(self, now_ms: int) -> bool:
        """Close the forming bar if its time was over before this instant; return whether it was."""
        if self._tape.bar == NO_BAR or self._tape.closes_ms >= now_ms:
            return False
        self._close_forming()
        return True

    def apply(self, action: CorporateAction) -> Rescaling | None:
        """Rescale all bars before an action's session; see ``Detector.apply``."""
        calendar = self._periods.calendar
        opens_ms, _ = calendar.open_close_ms(calendar.next_session(action.session - 1))
        first = self._periods.at(opens_ms)
        assert first is not None  # a session is open when it opens
        before = first.bar
        close = self._tape.close if NO_BAR < self._tape.bar < before else self._closed.close_before(before)
        if before <= self._history_end or close is None:
            return None
        change = rescaling(action, before, close)
        if change in self._closed.rescalings:
            return None
        if self._tape.bar < before:
            self._close_forming()
        self._closed.rescalings.append(change)
        self._evaluator.open(self._closed.series())
        return change

    def readiness(self) -> Readiness:
        """Return whether all rules can signal; see ``Detector.readiness``."""
        bars = self._evaluator.bars
        if bars >= self._plan.minimum_bars:
            return Readiness(True, "")
        slowest = max(self._plan.computations, key=lambda computation: computation.minimum_bars)
        return Readiness(
            False,
            f"{self._symbol} has {bars} closed {self._periods.unit} bars; {slowest.call.function.name} needs "
            f"{slowest.minimum_bars} to forget where its history begins",
        )

    def values(self) -> dict[str, IndicatorValue]:
        """Return the indicators' values on the forming bar; see ``Detector.values``."""
        return self._evaluator.values(self._tape)

    def changes(self) -> list[StateRecord]:
        """Return the records to store; see ``Detector.changes``."""
        return [snapshot_record(self._symbol, self._snapshot()), *self._closed.changes(self._symbol)]

    def restore(self, records: Mapping[str, bytes]) -> Restored:
        """Take over stored records, right after construction; see ``Detector.restore``."""
        snapshot, bars = read_records(self._symbol, records)
        if snapshot is None:
            return Restored.NEW
        # Bars that a later history contains stay in the topic; the snapshot does not count them any more.
        bars = newer_than(max(self._closed.last, snapshot.first_bar - 1), bars)
        same_history = snapshot.history == self._history_digest
        if same_history and len(bars) != snapshot.closed_bars:
            raise BrokenState(
                f"the stored state of {self._symbol} has {len(bars)} closed bars and should have "
                f"{snapshot.closed_bars}"
            )
        # A history that reaches an action's first session was rescaled by whoever loaded it.
        rescalings = [done for done in snapshot.rescalings if done.before > self._closed.last]
        self._closed.resume(bars, rescalings, snapshot.first_bar if same_history else NO_BAR)
        if rescalings or self._closed.first != NO_BAR:
            self._evaluator.open(self._closed.series())
        else:
            for bar in bars:
                self._evaluator.commit(bar)
        if snapshot.forming is not None and snapshot.forming.session > self._closed.last:
            self._tape.resume(self._periods.of(snapshot.forming.session), snapshot.forming)
        self._evaluator.resume(snapshot.latches)
        self._tape.resume_ticks(snapshot.newest_number, snapshot.missing_numbers, snapshot.last_trade)
        return Restored.EXACT if same_history else Restored.HISTORY_CHANGED

    def _signal(self, firing: Firing, source: str) -> Signal:
        rule, tape = firing.rule, self._tape
        bar = bar_iso(tape.bar)
        return Signal(
            id=signal_id(self._pipeline, self._symbol, rule.name, rule.side, bar, tape.newest_ms, tape.close),
            pipeline=self._pipeline,
            symbol=self._symbol,
            rule=rule.name,
            side=rule.side,
            price=tape.close,
            ts=tape.newest_ms,
            bar=bar,
            values={name: firing.now[slot] for name, slot in rule.values},
            confidence=firing.confidence,
            source=source,
            strength=rule.strength,
        )

    def _close_forming(self) -> None:
        """Close the forming bar, if there is one."""
        tape = self._tape
        if tape.bar == NO_BAR:
            return
        bar = self._closed.add(Bar(tape.bar, tape.open, tape.high, tape.low, tape.close, tape.volume))
        tape.end()
        if self._closed.forget_old():
            self._evaluator.open(self._closed.series())
        else:
            self._evaluator.commit(bar)
        self._evaluator.bar_closed()

    def _snapshot(self) -> Snapshot:
        return Snapshot(
            version=VERSION,
            history=self._history_digest,
            closed_bars=self._closed.since_history,
            forming=self._tape.forming,
            latches=self._evaluator.latches,
            last_trade=self._tape.last_trade,
            newest_number=self._tape.newest_number,
            missing_numbers=self._tape.gaps,
            rescalings=self._closed.rescalings,
            first_bar=self._closed.first,
        )
