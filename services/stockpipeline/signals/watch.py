"""What the native path must look at before it may take a tick without Python: the watch on one symbol.

Most ticks only revise the forming bar. The lane of a symbol (``services/native/lane.c``) takes those, as long
as none of the conditions holds that some latch waits for, and leaves all others to ``SymbolDetector``.
"""

from array import array
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import chain
from typing import NamedTuple

from stockpipeline.indicators.engine import IndicatorEngine, Plan, Vector
from stockpipeline.signals.latch import Latch
from stockpipeline.signals.program import compile_closed_terms, compile_program
from stockpipeline.signals.rules import CompiledRule
from stockpipeline.signals.tape import Tape
from stockpipeline_native import Lane, Program


class _Condition(NamedTuple):
    """One condition of a rule for the native path."""

    program: Program | None
    possible: Callable[[Sequence[Vector]], bool]
    """Vectors of closed bars → whether it can hold before the next one."""


class RulePrograms(NamedTuple):
    """A rule's conditions for the native path."""

    when: _Condition
    rearm: _Condition


def compile_programs(rules: Iterable[CompiledRule], width: int) -> dict[str, RulePrograms]:
    """Return the conditions of each rule by its fingerprint, over vectors of this length."""
    return {
        rule.fingerprint: RulePrograms(
            _condition(rule.when_source, width), _condition(rule.rearm_source, width)
        )
        for rule in rules
    }


def _condition(source: str, width: int) -> _Condition:
    return _Condition(compile_program(source, width), compile_closed_terms(source))


class Watch:
    """Keeps the lane of one symbol in step with its indicators and latches."""

    def __init__(self, symbol: str, tape: Tape, plan: Plan, programs: Mapping[str, RulePrograms]) -> None:
        self.lane = Lane(symbol, tape)
        self._plan = plan
        self._programs = programs

    def rest(self) -> None:
        """Leave every tick to Python: something has changed."""
        self.lane.rest()

    def update(self, latches: Iterable[tuple[Latch, Sequence[int]]], engine: IndicatorEngine) -> None:
        """Watch these latches, with the positions that their rules read of the forming bar."""
        programs: list[Program] = []
        owners: set[int] = set()
        for latch, slots in latches:
            if latch.is_blocked:
                continue
            both = self._programs[latch.rule.fingerprint]
            condition = both.when if latch.armed else both.rearm
            if condition.program is None:
                return
            if not _is_possible(condition, engine.past):
                continue
            programs.append(condition.program)
            owners.update(owner for slot in slots if (owner := self._plan.owners[slot]) is not None)
        columns = [engine.native_column(owner) for owner in sorted(owners)]
        if all(columns):
            past = array("d", chain.from_iterable(engine.past)).tobytes()
            self.lane.watch(tuple(programs), tuple(filter(None, columns)), past)


def _is_possible(condition: _Condition, past: Sequence[Vector]) -> bool:
    try:
        return condition.possible(past)
    except ZeroDivisionError:
        return False
