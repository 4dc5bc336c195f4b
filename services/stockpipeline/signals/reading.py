"""What each rule of a pipeline reads, found once: it is asked for every symbol and every closed bar."""

from collections.abc import Iterable, Sequence
from math import isfinite
from typing import NamedTuple

from stockpipeline.indicators.engine import Plan, Vector
from stockpipeline.signals.rules import CompiledRule


class Reading(NamedTuple):
    """A rule and what its conditions read."""

    rule: CompiledRule
    now: tuple[int, ...]
    """Positions in the vector of the forming bar."""
    past: tuple[tuple[int, int], ...]
    """Of closed bars: index into their vectors, newest first, and position."""
    computations: tuple[int, ...]
    """Indices of the computations that make any of these values."""
    computations_now: tuple[int, ...]
    """Of those, the ones that the forming bar's values come from."""

    def is_known(self, past: Sequence[Vector]) -> bool:
        """Whether all that it reads of closed bars is known."""
        return all(index < len(past) and isfinite(past[index][slot]) for index, slot in self.past)


def readings(plan: Plan, rules: Iterable[CompiledRule]) -> tuple[Reading, ...]:
    """Return what each rule reads."""
    return tuple(_reading(plan, rule) for rule in rules)


def _reading(plan: Plan, rule: CompiledRule) -> Reading:
    now = sorted(read.slot for read in rule.reads if not read.bars_back)
    past = sorted((read.bars_back - 1, read.slot) for read in rule.reads if read.bars_back)
    return Reading(
        rule,
        tuple(now),
        tuple(past),
        _owners(plan, [*now, *(slot for _, slot in past)]),
        _owners(plan, now),
    )


def _owners(plan: Plan, slots: Iterable[int]) -> tuple[int, ...]:
    return tuple(sorted({owner for slot in slots if (owner := plan.owners[slot]) is not None}))
