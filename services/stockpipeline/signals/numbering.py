"""Which of a source's numbered ticks were taken already, exactly, though they may come out of order.

A number above the newest is new; one below it is new only if it was skipped before. Gaps are kept as
ranges, the newest few: a tick that is missing longer than that counts as a duplicate, which loses one
trade's volume where the alternative, counting a trade twice, would corrupt it.
"""

from typing import Protocol

MAX_GAPS = 32
Gap = tuple[int, int]
"""First and last missing number."""


class Numbers(Protocol):
    """The numbers of one symbol's ticks that were taken."""

    newest_number: int
    """The highest number taken; 0 before the first."""
    gaps: list[Gap]
    """The missing numbers below it, lowest first; never changed in place."""


def take(numbers: Numbers, number: int) -> bool:
    """Note a number and return True; where it was taken before, change nothing and return False."""
    newest = numbers.newest_number
    if number == newest + 1:
        numbers.newest_number = number
    elif number > newest:
        # What comes before the very first tick is of another run of the source, not missing.
        if newest:
            numbers.gaps = [*numbers.gaps, (newest + 1, number - 1)][-MAX_GAPS:]
        numbers.newest_number = number
    elif any(first <= number <= last for first, last in numbers.gaps):
        numbers.gaps = [part for gap in numbers.gaps for part in _without(gap, number)][-MAX_GAPS:]
    else:
        return False
    return True


def _without(gap: Gap, number: int) -> list[Gap]:
    first, last = gap
    if not first <= number <= last:
        return [gap]
    return [part for part in ((first, number - 1), (number + 1, last)) if part[0] <= part[1]]
