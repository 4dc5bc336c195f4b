"""What the native path must look at before it may take a tick without Python: the watch on one symbol.

Most ticks only revise the forming bar. The lane of a symbol (``services/native/lane.c``) takes those, as long
as none of the conditions holds that some latch waits for, and leaves all others to ``SymbolDetector``.
"""

from array import array
from collections.abc import Callable, Iterable, Sequence
from itertools import chain
from typing import NamedTuple

from stockpipeline.indicators.engine import IndicatorEngine, Plan, Vector
from stockpipeline.signals.latch import Latch
from stockpipeline.signals.program import compile_closed_terms, compile_program, shared_in, shared_terms
from stockpipeline.signals.rules import CompiledRule
from stockpipeline.signals.tape import Tape
from stockpipeline_native import Lane, Program


class _Condition(NamedTuple):
    """One condition of a rule for the native path."""

    program: Program | None
    terms: tuple[int, ...]
    """The shared terms that it reads."""
    possible: Callable[[Sequence[Vector]], bool]
    """Vectors of closed bars → whether it can hold before the next one."""


class _RulePrograms(NamedTuple):
    when: _Condition
    rearm: _Condition


class Programs:
    """The conditions of a pipeline's rules for the native path, over vectors of ``width`` values."""

    def __init__(self, rules: Sequence[CompiledRule], width: int) -> None:
        sources = [source for rule in rules for source in (rule.when_source, rule.rearm_source)]
        shared = [(term, compile_program(term, width)) for term in shared_terms(sources)]
        self._shared = [(term, program) for term, program in shared if program is not None]
        self._width = width
        self.room = width + len(self._shared)
        """The length of a vector with the shared terms behind it."""
        self.terms = [(program, width + index) for index, (_, program) in enumerate(self._shared)]
        """Each shared term's program and where its value goes."""
        self.of_rule = {
            rule.fingerprint: _RulePrograms(
                self._condition(rule.when_source), self._condition(rule.rearm_source)
            )
            for rule in rules
        }
        """By the rule's fingerprint."""

    def _condition(self, source: str) -> _Condition:
        shared = [term for term, _ in self._shared]
        used = shared_in(source, shared)
        return _Condition(compile_program(source, self._width, shared), used, compile_closed_terms(source))


class Watch:
    """Keeps the lane of one symbol in step with its indicators and latches."""

    def __init__(self, symbol: str, tape: Tape, plan: Plan, programs: Programs) -> None:
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
        used: set[int] = set()
        for latch, slots in latches:
            if latch.is_blocked:
                continue
            both = self._programs.of_rule[latch.rule.fingerprint]
            condition = both.when if latch.armed else both.rearm
            if condition.program is None:
                return
            if not _is_possible(condition, engine.past):
                continue
            programs.append(condition.program)
            used.update(condition.terms)
            owners.update(owner for slot in slots if (owner := self._plan.owners[slot]) is not None)
        columns = [engine.native_column(owner) for owner in sorted(owners)]
        if all(columns):
            past = array("d", chain.from_iterable(engine.past)).tobytes()
            terms = tuple(self._programs.terms[index] for index in sorted(used))
            self.lane.watch(tuple(programs), tuple(filter(None, columns)), past, terms)


def _is_possible(condition: _Condition, past: Sequence[Vector]) -> bool:
    try:
        return condition.possible(past)
    except ZeroDivisionError:
        return False
