"""Stands before every write to the API server and lets none through that leadership does not cover."""

import math
import time


class NotLeading(Exception):
    """The process may not write: its leadership has ended, or may end before the write is done.

    No failure of a pipeline, so none of its conditions may say so: another process works on it.
    """


def monotonic() -> float:
    """Seconds on a clock that nobody sets, and that runs on while the machine sleeps (unlike
    `time.monotonic`): a leader that wakes up must know for how long it was away."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)


class Fence:
    """Closed until leadership opens it, each time for a while. May be used by many threads."""

    def __init__(self) -> None:
        self._until = -math.inf

    def open_until(self, deadline: float) -> None:
        """Let writes through until `deadline` on the clock `monotonic`."""
        self._until = deadline

    def close(self) -> None:
        """Let nothing through any more."""
        self._until = -math.inf

    @property
    def is_open(self) -> bool:
        """Whether a write may begin now."""
        return monotonic() < self._until

    def check(self) -> None:
        """Return if a write may begin now.

        Raises:
            NotLeading: it may not.
        """
        if not self.is_open:
            raise NotLeading("this process does not lead (any more); nothing was written")
