"""Which of a source's numbered ticks were taken already, exactly, though they may come out of order.

A number above the newest is new; one below it is new only if it was skipped before. Gaps are kept as
ranges, the newest few: a tick that is missing longer than that counts as a duplicate, which loses one
trade's volume where the alternative, counting a trade twice, would corrupt it.
"""

MAX_GAPS = 32
Gap = tuple[int, int]
"""First and last missing number."""


class TickNumbers:
    """The numbers of one symbol's ticks that were taken."""

    __slots__ = ("gaps", "newest")

    def __init__(self, newest: int = 0, gaps: list[Gap] | None = None) -> None:
        self.newest = newest
        """The highest number taken; 0 before the first."""
        self.gaps = gaps if gaps is not None else []
        """The missing numbers below it, lowest first."""

    def take(self, number: int) -> bool:
        """Note a number and return True; where it was taken before, change nothing and return False."""
        newest = self.newest
        if number == newest + 1:
            self.newest = number
        elif number > newest:
            # What comes before the very first tick is of another run of the source, not missing.
            if newest:
                self.gaps = [*self.gaps, (newest + 1, number - 1)][-MAX_GAPS:]
            self.newest = number
        elif any(first <= number <= last for first, last in self.gaps):
            self.gaps = [part for gap in self.gaps for part in _without(gap, number)][-MAX_GAPS:]
        else:
            return False
        return True


def _without(gap: Gap, number: int) -> list[Gap]:
    first, last = gap
    if not first <= number <= last:
        return [gap]
    return [part for part in ((first, number - 1), (number + 1, last)) if part[0] <= part[1]]
