"""How many ticks come in a second, in steps of ten. Pure.

A figure would change with every look, and each change would be a write of the status. A step changes only
when the pipeline does: it is left when two looks in a row agree, and when the rate is well beyond its ends.
"""

import datetime
import math
from bisect import bisect_right
from dataclasses import dataclass

_ENDS = (0.0, 1.0, 10.0, 100.0, 1_000.0, 10_000.0)
_NAMES = ("<1", "1-10", "10-100", "100-1k", "1k-10k", ">10k")
NOTHING = "0"
# How far beyond the ends of its step a rate may be: one that is near an end must not go to and fro.
_SLACK = 1.25


@dataclass(frozen=True)
class Rate:
    """What is known of a pipeline's rate so far."""

    ticks: int
    """The count of the last look."""
    at: datetime.datetime
    """When that was."""
    step: str | None = None
    """What is said of it; None: nothing yet."""
    candidate: str | None = None
    """Another step, which the last look gave."""


def looked(before: Rate | None, ticks: int, now: datetime.datetime) -> Rate:
    """Take the count of another look."""
    if before is None or ticks < before.ticks or now <= before.at:
        # The first look, or the producer has started anew: what is said stays until there is a difference.
        return Rate(ticks, now, None if before is None else before.step)
    rate = (ticks - before.ticks) / (now - before.at).total_seconds()
    found = step_of(rate)
    if before.step is None or found == before.step:
        return Rate(ticks, now, found)
    if _near(rate, before.step):
        return Rate(ticks, now, before.step)
    return Rate(ticks, now, found if found == before.candidate else before.step, found)


def step_of(rate: float) -> str:
    """The step of a rate in ticks a second."""
    if rate <= 0:
        return NOTHING
    return _NAMES[bisect_right(_ENDS, rate) - 1]


def _near(rate: float, step: str) -> bool:
    """Whether a rate is not far from a step that it is not in."""
    if NOTHING in (step, step_of(rate)):
        return False
    place = _NAMES.index(step)
    least = _ENDS[place] / _SLACK
    most = _ENDS[place + 1] * _SLACK if place + 1 < len(_ENDS) else math.inf
    return least <= rate < most
