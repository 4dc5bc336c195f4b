"""One symbol in the detector: which ticks count, the forming bar that they revise, and the rules on it.

A tick is refused, and changes nothing, when it is outside of the exchange's regular sessions, late (its
session is already closed by a tick of a later one, or part of the history) or a duplicate (its number was
taken, or, without a number, it repeats time, price and volume of the tick before). A tick that is older
than another of its session still counts: it may move high, low and volume, but not open and close. A tick
of a later session closes the forming bar. Rules are then evaluated on the forming bar, as of its newest
trade.
"""

from collections.abc import Mapping, Sequence
from enum import StrEnum
from math import isfinite
from typing import NamedTuple

from stockpipeline.indicators.convergence import CONVERGED
from stockpipeline.indicators.engine import IndicatorEngine, Plan, Vector
from stockpipeline.market.bars import Bar, BarSeries
from stockpipeline.market.calendar import SessionCalendar
from stockpipeline.market.sessions import session_iso
from stockpipeline.market.ticks import MarketSession, Tick
from stockpipeline.signals.latch import Latch
from stockpipeline.signals.numbering import TickNumbers
from stockpipeline.signals.rules import CompiledRule
from stockpipeline.signals.signal import Signal, signal_id
from stockpipeline.signals.state import (
    VERSION,
    BrokenState,
    FormingBar,
    Restored,
    Snapshot,
    StateRecord,
    StoredLatch,
    Trade,
    bar_record,
    newer_than,
    read_records,
    snapshot_record,
)
from stockpipeline.signals.syntax import Read


class Outcome(StrEnum):
    """How a tick counted."""

    ACCEPTED = "accepted"
    OUT_OF_ORDER = "out-of-order"
    """Accepted, but older than another tick of its session."""
    LATE = "late"
    DUPLICATE = "duplicate"
    OUTSIDE_SESSION = "outside-session"
    UNKNOWN_SYMBOL = "unknown-symbol"
    MALFORMED = "malformed"

    @property
    def accepted(self) -> bool:
        """Whether the tick changed the symbol's state."""
        return self in (Outcome.ACCEPTED, Outcome.OUT_OF_ORDER)


class TickResult(NamedTuple):
    """How a tick counted, and the signals that it made."""

    outcome: Outcome
    signals: tuple[Signal, ...]


class Readiness(NamedTuple):
    """Whether a symbol's rules can signal; the reason is a sentence, empty when they can."""

    ready: bool
    reason: str


class IndicatorValue(NamedTuple):
    """A value of an indicator, NaN where it is not known, and whether rules may signal on it."""

    value: float
    ready: bool


_ACCEPTED = TickResult(Outcome.ACCEPTED, ())
_OUT_OF_ORDER = TickResult(Outcome.OUT_OF_ORDER, ())
_LATE = TickResult(Outcome.LATE, ())
_DUPLICATE = TickResult(Outcome.DUPLICATE, ())
_OUTSIDE_SESSION = TickResult(Outcome.OUTSIDE_SESSION, ())


_Evaluation = tuple[Latch, tuple[int, ...], float]
"""A latch whose rule can be evaluated until the next closed bar, what the rule reads of the forming bar, and
its confidence. A plain tuple: Python unpacks that several times faster than a named one."""


class SymbolDetector:
    """The state of one symbol (see the module)."""

    def __init__(
        self,
        pipeline: str,
        symbol: str,
        plan: Plan,
        rules: Sequence[CompiledRule],
        calendar: SessionCalendar,
        history: BarSeries,
    ) -> None:
        self._pipeline = pipeline
        self._symbol = symbol
        self._plan = plan
        self._calendar = calendar
        self._history_digest = history.digest()
        self._engine = IndicatorEngine(plan, history, keep=max((r.bars_back for r in rules), default=0))
        self._latches = [Latch(rule) for rule in rules]
        self._evaluations: list[_Evaluation] = []
        self._last_closed = int(history.sessions[-1]) if len(history) else -1
        self._closed_bars = 0
        self._unstored_bars: list[Bar] = []
        self._numbers = TickNumbers()
        self._last_trade: Trade | None = None
        # The forming bar, field by field because every tick touches it; the session is None before the first.
        self._session: int | None = None
        self._session_iso = ""
        self._opens_ms, self._closes_ms = 0, -1
        self._open = self._high = self._low = self._close = self._volume = 0.0
        self._newest_ms = 0
        self._choose_evaluations()

    def on_tick(self, tick: Tick) -> TickResult:
        """Take one well-formed tick of this symbol."""
        ts, price, volume, number = tick.ts, tick.price, tick.volume, tick.seq
        if tick.session is not MarketSession.REGULAR:
            return _OUTSIDE_SESSION
        session = self._session
        if not self._opens_ms <= ts <= self._closes_ms:
            session = self._calendar.session_of(ts)
            if session is None:
                return _OUTSIDE_SESSION
            if session <= self._last_closed or (self._session is not None and session < self._session):
                return _LATE
        if number is not None:
            if not self._numbers.take(number):
                return _DUPLICATE
        else:
            trade = Trade(ts, price, volume)
            if trade == self._last_trade:
                return _DUPLICATE
            self._last_trade = trade

        if session != self._session:
            assert session is not None
            self._begin_bar(session, price)
        self._volume += volume
        if price > self._high:
            self._high = price
        elif price < self._low:
            self._low = price
        in_order = ts >= self._newest_ms
        if in_order:
            self._newest_ms = ts
            self._close = price

        signals = self._evaluate(tick.source) if self._evaluations else ()
        if signals:
            return TickResult(Outcome.ACCEPTED if in_order else Outcome.OUT_OF_ORDER, signals)
        return _ACCEPTED if in_order else _OUT_OF_ORDER

    @property
    def last_session(self) -> int | None:
        """The session of the newest bar; see ``Detector.last_session``."""
        if self._session is not None:
            return self._session
        return self._last_closed if self._last_closed >= 0 else None

    def readiness(self) -> Readiness:
        """Return whether all rules can signal; see ``Detector.readiness``."""
        bars = self._engine.bars
        if bars >= self._plan.minimum_bars:
            return Readiness(True, "")
        slowest = max(self._plan.computations, key=lambda computation: computation.minimum_bars)
        return Readiness(
            False,
            f"{self._symbol} has {bars} closed daily bars; {slowest.call.function.name} needs "
            f"{slowest.minimum_bars} to forget where its history begins",
        )

    @property
    def newest_trade(self) -> tuple[int, float] | None:
        """Time and price of the newest trade; see ``Detector.newest_trade``."""
        return None if self._session is None else (self._newest_ms, self._close)

    def values(self) -> dict[str, IndicatorValue]:
        """Return the indicators' values on the forming bar; see ``Detector.values``."""
        now = self._engine.peek(self._open, self._high, self._low, self._close, self._volume)
        confidences, owners = self._engine.confidences, self._plan.owners
        return {
            name: IndicatorValue(now[slot], isfinite(now[slot]) and confidences[owner] >= CONVERGED)
            for name, slot in self._plan.slots.items()
            if (owner := owners[slot]) is not None
        }

    def changes(self) -> list[StateRecord]:
        """Return the records to store; see ``Detector.changes``."""
        bars, self._unstored_bars = self._unstored_bars, []
        return [
            snapshot_record(self._symbol, self._snapshot()),
            *(bar_record(self._symbol, bar) for bar in bars),
        ]

    def restore(self, records: Mapping[str, bytes]) -> Restored:
        """Take over stored records, right after construction; see ``Detector.restore``."""
        snapshot, bars = read_records(self._symbol, records)
        if snapshot is None:
            return Restored.NEW
        # Bars that a later history contains stay in the topic; the snapshot does not count them any more.
        bars = newer_than(self._last_closed, bars)
        same_history = snapshot.history == self._history_digest
        if same_history and len(bars) != snapshot.closed_bars:
            raise BrokenState(
                f"the stored state of {self._symbol} has {len(bars)} closed bars and should have "
                f"{snapshot.closed_bars}"
            )
        for bar in bars:
            self._commit(bar)
        if snapshot.forming is not None and snapshot.forming.session > self._last_closed:
            self._resume_bar(snapshot.forming)
        stored = {latch.fingerprint: latch for latch in snapshot.latches}
        for latch in self._latches:
            if latch.rule.fingerprint in stored:
                kept = stored[latch.rule.fingerprint]
                latch.set(kept.armed, kept.bars_since)
        self._numbers = TickNumbers(snapshot.newest_number, snapshot.missing_numbers)
        self._last_trade = snapshot.last_trade
        return Restored.EXACT if same_history else Restored.HISTORY_CHANGED

    def _evaluate(self, source: str) -> tuple[Signal, ...]:
        """Evaluate all rules on the forming bar; return the signals, mostly none."""
        now = self._engine.peek(self._open, self._high, self._low, self._close, self._volume)
        past = self._engine.past
        total = sum(now)
        all_known = total - total == 0.0  # false for NaN and for infinity
        signals: tuple[Signal, ...] = ()
        for latch, slots, confidence in self._evaluations:
            if not all_known and not all(isfinite(now[slot]) for slot in slots):
                continue
            try:
                fires = latch.awaited(now, past) and latch.advance(now, past)
            except ZeroDivisionError:
                # The rule has no value on this bar, as if it read one that is not known.
                continue
            if fires:
                signals += (self._signal(latch.rule, confidence, now, source),)
        return signals

    def _signal(self, rule: CompiledRule, confidence: float, now: Vector, source: str) -> Signal:
        identity = (self._pipeline, self._symbol, rule.name, rule.side, self._session_iso)
        return Signal(
            id=signal_id(*identity, self._newest_ms, self._close),
            pipeline=self._pipeline,
            symbol=self._symbol,
            rule=rule.name,
            side=rule.side,
            price=self._close,
            ts=self._newest_ms,
            bar=self._session_iso,
            values={name: now[slot] for name, slot in rule.values},
            confidence=confidence,
            source=source,
            strength=rule.strength,
        )

    def _begin_bar(self, session: int, price: float) -> None:
        """Close the forming bar, if there is one, and begin the bar of ``session`` with its first trade."""
        if self._session is not None:
            bar = Bar(self._session, self._open, self._high, self._low, self._close, self._volume)
            self._commit(bar)
            self._unstored_bars.append(bar)
            for latch in self._latches:
                latch.bar_closed()
        self._resume_bar(FormingBar(session, price, price, price, price, 0.0, 0))

    def _resume_bar(self, bar: FormingBar) -> None:
        self._session, self._session_iso = bar.session, session_iso(bar.session)
        self._opens_ms, self._closes_ms = self._calendar.open_close_ms(bar.session)
        self._open, self._high, self._low, self._close = bar.open, bar.high, bar.low, bar.close
        self._volume, self._newest_ms = bar.volume, bar.ts

    def _commit(self, bar: Bar) -> None:
        self._engine.commit(bar)
        self._last_closed = bar.session
        self._closed_bars += 1
        self._choose_evaluations()

    def _choose_evaluations(self) -> None:
        """Find the rules that can be evaluated until the next closed bar: those whose values are known."""
        self._evaluations = []
        for latch in self._latches:
            reads = latch.rule.reads
            owners = {self._plan.owners[read.slot] for read in reads} - {None}
            confidence = min(
                (self._engine.confidences[owner] for owner in owners if owner is not None), default=1.0
            )
            if confidence < CONVERGED or not all(self._known(read) for read in reads if read.bars_back):
                continue
            slots = tuple(read.slot for read in reads if not read.bars_back)
            self._evaluations.append((latch, slots, round(confidence, 6)))

    def _known(self, read: Read) -> bool:
        """Whether a value of a closed bar is known."""
        past = self._engine.past
        return len(past) >= read.bars_back and isfinite(past[read.bars_back - 1][read.slot])

    def _snapshot(self) -> Snapshot:
        forming = None
        if self._session is not None:
            prices = (self._open, self._high, self._low, self._close)
            forming = FormingBar(self._session, *prices, self._volume, self._newest_ms)
        return Snapshot(
            version=VERSION,
            history=self._history_digest,
            closed_bars=self._closed_bars,
            forming=forming,
            latches=[
                StoredLatch(latch.rule.fingerprint, latch.armed, latch.bars_since) for latch in self._latches
            ],
            last_trade=self._last_trade,
            newest_number=self._numbers.newest,
            missing_numbers=self._numbers.gaps,
        )
