"""What the native path must look at before it may take a tick without Python: the watch on one symbol.

Most ticks only revise the forming bar. The lane of a symbol (``services/native/lane.c``) takes those, as long
as none of the conditions holds that some latch waits for, and leaves all others to ``SymbolDetector``.
"""

from array import array
from collections.abc import Callable, Iterable, Sequence
from itertools import chain
from typing import NamedTuple

from stockpipeline.indicators.engine import IndicatorEngine, Vector
from stockpipeline.signals.latch import Latch
from stockpipeline.signals.program import (
    Bound,
    compile_bound,
    compile_closed_terms,
    compile_program,
    shared_in,
    shared_terms,
    tightest,
)
from stockpipeline.signals.reading import Reading
from stockpipeline.signals.tape import Tape
from stockpipeline_native import Lane, Program

_MOST_KEPT = 4096


class _Condition(NamedTuple):
    """One condition of a rule for the native path."""

    number: int
    bound: Bound | None
    program: Program | None
    """What it is where it is no bound; None where it is for Python."""
    terms: tuple[int, ...]
    """The shared terms that it reads."""
    computations: tuple[int, ...]
    """The computations whose values on the forming bar its rule reads."""
    possible: Callable[[Sequence[Vector]], bool]
    """Vectors of closed bars → whether it can hold before the next one."""

    @property
    def is_native(self) -> bool:
        """Whether the native path can tell that it does not hold."""
        return self.bound is not None or self.program is not None


class _Together(NamedTuple):
    """Conditions that are watched together, and what they read."""

    bounds: tuple[Bound, ...]
    programs: tuple[Program, ...]
    computations: tuple[int, ...]
    terms: tuple[tuple[Program, int], ...]


class Programs:
    """The conditions of a pipeline's rules for the native path, over vectors of ``width`` values."""

    def __init__(self, readings: Sequence[Reading], width: int) -> None:
        rules = [reading.rule for reading in readings]
        sources = [source for rule in rules for source in (rule.when_source, rule.rearm_source)]
        shared = [(term, compile_program(term, width)) for term in shared_terms(sources)]
        self._shared = [(term, program) for term, program in shared if program is not None]
        self._width = width
        self.room = width + len(self._shared)
        """The length of a vector with the shared terms behind it."""
        self._terms = [(program, width + index) for index, (_, program) in enumerate(self._shared)]
        self._conditions: list[_Condition] = []
        self.when: dict[str, _Condition] = {}
        """What an armed latch waits for, by its rule's fingerprint."""
        self.rearm: dict[str, _Condition] = {}
        """What a disarmed latch waits for, by its rule's fingerprint."""
        for reading in readings:
            self.when[reading.rule.fingerprint] = self._add(reading.rule.when_source, reading)
            self.rearm[reading.rule.fingerprint] = self._add(reading.rule.rearm_source, reading)
        self._together: dict[tuple[int, ...], _Together] = {}

    def _add(self, source: str, reading: Reading) -> _Condition:
        shared = [term for term, _ in self._shared]
        bound = compile_bound(source, self._width, shared)
        condition = _Condition(
            len(self._conditions),
            bound,
            None if bound else compile_program(source, self._width, shared),
            shared_in(source, shared),
            reading.computations_now,
            compile_closed_terms(source),
        )
        self._conditions.append(condition)
        return condition

    def together(self, numbers: tuple[int, ...]) -> _Together:
        """Return what watches the conditions with these numbers, all of which are native.

        Symbols wait for the same few sets of conditions again and again, so those are kept.
        """
        found = self._together.get(numbers)
        if found is None:
            if len(self._together) == _MOST_KEPT:
                self._together.clear()
            conditions = [self._conditions[number] for number in numbers]
            found = self._together[numbers] = _Together(
                tightest(condition.bound for condition in conditions if condition.bound is not None),
                tuple([condition.program for condition in conditions if condition.program is not None]),
                tuple(_union(condition.computations for condition in conditions)),
                tuple([self._terms[index] for index in _union(one.terms for one in conditions)]),
            )
        return found


class Watch:
    """Keeps the lane of one symbol in step with its indicators and latches."""

    def __init__(self, symbol: str, tape: Tape, programs: Programs) -> None:
        self.lane = Lane(symbol, tape)
        self._programs = programs

    def rest(self) -> None:
        """Leave every tick to Python: something has changed."""
        self.lane.rest()

    def update(self, latches: Iterable[Latch], engine: IndicatorEngine) -> None:
        """Watch these latches."""
        when, rearm, past = self._programs.when, self._programs.rearm, engine.past
        numbers: list[int] = []
        for latch in latches:
            if latch.is_blocked:
                continue
            condition = (when if latch.armed else rearm)[latch.rule.fingerprint]
            if not condition.is_native:
                return
            if _is_possible(condition, past):
                numbers.append(condition.number)
        bounds, programs, computations, terms = self._programs.together(tuple(numbers))
        columns = [engine.native_column(index) for index in computations]
        if all(columns):
            vectors = array("d", chain.from_iterable(past)).tobytes()
            self.lane.watch(bounds, programs, tuple(filter(None, columns)), vectors, terms)


def _is_possible(condition: _Condition, past: Sequence[Vector]) -> bool:
    try:
        return condition.possible(past)
    except ZeroDivisionError:
        return False


def _union(sets: Iterable[Iterable[int]]) -> list[int]:
    return sorted(set(chain.from_iterable(sets)))
