"""The rules of one symbol on its indicators: which of them can be evaluated, and which fire."""

from collections.abc import Iterable, Sequence
from math import isfinite
from typing import NamedTuple

from stockpipeline.indicators.convergence import CONVERGED
from stockpipeline.indicators.engine import IndicatorEngine, Plan, Vector
from stockpipeline.market.bars import Bar, BarSeries
from stockpipeline.signals.latch import Latch
from stockpipeline.signals.outcome import IndicatorValue
from stockpipeline.signals.reading import Reading
from stockpipeline.signals.rules import CompiledRule
from stockpipeline.signals.state import StoredLatch
from stockpipeline.signals.tape import NO_BAR, Tape
from stockpipeline.signals.watch import Watch


class Firing(NamedTuple):
    """A rule that fires, how far what it reads has converged, and the vector of the forming bar."""

    rule: CompiledRule
    confidence: float
    now: Vector


_Evaluation = tuple[Latch, tuple[int, ...], float]
"""A latch whose rule can be evaluated until the next closed bar, what the rule reads of the forming bar, and
its confidence. A plain tuple: Python unpacks that several times faster than a named one."""


class Evaluator:
    """Indicators and latches of one symbol, on its closed bars."""

    def __init__(self, plan: Plan, readings: Sequence[Reading], bars: BarSeries, watch: Watch | None) -> None:
        self._plan = plan
        self._watch = watch
        self._watched = False
        self._keep = max((reading.rule.bars_back for reading in readings), default=0)
        self._readings = readings
        self._latches = [Latch(reading.rule) for reading in readings]
        self._stored: list[StoredLatch] | None = None
        self._evaluations: list[_Evaluation] = []
        self.open(bars)

    @property
    def bars(self) -> int:
        """Closed bars so far."""
        return self._engine.bars

    @property
    def latches(self) -> list[StoredLatch]:
        """The latches, for storing; they are stored far more often than they change."""
        if self._stored is None:
            self._stored = [
                StoredLatch(latch.rule.fingerprint, latch.armed, latch.bars_since) for latch in self._latches
            ]
        return self._stored

    def open(self, bars: BarSeries) -> None:
        """Begin anew on these closed bars; the latches stay as they are."""
        self._engine = IndicatorEngine(self._plan, bars, self._keep)
        self._choose()

    def resume(self, stored: Iterable[StoredLatch]) -> None:
        """Bring the latches of rules that have not changed to where they were."""
        known = {latch.fingerprint: latch for latch in stored}
        for latch in self._latches:
            if latch.rule.fingerprint in known:
                kept = known[latch.rule.fingerprint]
                latch.set(kept.armed, kept.bars_since)
        self._unwatch()

    def commit(self, bar: Bar) -> None:
        """Take a closed bar into the indicators."""
        self._engine.commit(bar)
        self._choose()

    def bar_closed(self) -> None:
        """Let the latches count a bar that closed; not when stored bars are taken in again."""
        for latch in self._latches:
            latch.bar_closed()
        self._unwatch()

    def evaluate(self, tape: Tape) -> list[Firing] | None:
        """Evaluate all rules on the forming bar; return those that fire, None for the usual none of them."""
        firings = self._firings(tape) if self._evaluations else None
        if self._watch is not None and not self._watched:
            self._watch.update([latch for latch, _, _ in self._evaluations], self._engine)
            self._watched = True
        return firings

    def _firings(self, tape: Tape) -> list[Firing] | None:
        self._engine.form(tape.bar)
        now = self._engine.peek(tape.open, tape.high, tape.low, tape.close, tape.volume)
        past = self._engine.past
        total = sum(now)
        all_known = total - total == 0.0  # false for NaN and for infinity
        firings: list[Firing] | None = None
        for latch, slots, confidence in self._evaluations:
            if not all_known and not all(isfinite(now[slot]) for slot in slots):
                continue
            try:
                if not latch.awaited(now, past):
                    continue
                self._unwatch()
                fires = latch.advance(now, past)
            except ZeroDivisionError:
                # The rule has no value on this bar, as if it read one that is not known.
                continue
            if fires:
                firings = firings or []
                firings.append(Firing(latch.rule, confidence, now))
        return firings

    def values(self, tape: Tape) -> dict[str, IndicatorValue]:
        """Return the indicators' values on the forming bar, by name."""
        if tape.bar != NO_BAR:
            self._engine.form(tape.bar)
        now = self._engine.peek(tape.open, tape.high, tape.low, tape.close, tape.volume)
        confidences, owners = self._engine.confidences, self._plan.owners
        return {
            name: IndicatorValue(now[slot], isfinite(now[slot]) and confidences[owner] >= CONVERGED)
            for name, slot in self._plan.slots.items()
            if (owner := owners[slot]) is not None
        }

    def _choose(self) -> None:
        """Find the rules that can be evaluated until the next closed bar: those whose values are known."""
        self._unwatch()
        self._evaluations = []
        confidences, past = self._engine.confidences, self._engine.past
        for latch, reading in zip(self._latches, self._readings, strict=True):
            confidence = min([confidences[index] for index in reading.computations], default=1.0)
            if confidence >= CONVERGED and reading.is_known(past):
                self._evaluations.append((latch, reading.now, round(confidence, 6)))

    def _unwatch(self) -> None:
        """Have every tick come here until the next one is evaluated: what is watched has changed."""
        self._watched = False
        self._stored = None
        if self._watch is not None:
            self._watch.rest()
