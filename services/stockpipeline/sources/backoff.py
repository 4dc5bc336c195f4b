"""How long to wait before trying again: twice as long each time, with chance in it, so that clients of a
server that comes back do not all come at once."""

import random


class Backoff:
    """Waits between `first` and `most` seconds; `reset` once it worked."""

    def __init__(self, first: float, most: float, chance: random.Random | None = None) -> None:
        self._first = first
        self._most = most
        self._chance = chance or random.Random()  # noqa: S311 - spreads load, keeps no secret
        self._failures = 0

    def next_seconds(self) -> float:
        """Return how long to wait after one more failure."""
        longest = min(self._most, self._first * 2.0 ** min(self._failures, 32))
        self._failures += 1
        return longest * self._chance.uniform(0.5, 1.0)

    def reset(self) -> None:
        """Begin with the shortest wait again."""
        self._failures = 0
