"""Closing the bars of live markets by the clock.

The last tick of a day should not wait for the next day to close its bar. In a replay nothing does that: there
it is the first tick of a later bar that closes the one before, whatever the wall clock says.
"""

import time
from collections.abc import Callable

from stockpipeline.detector.assignment import Assignment
from stockpipeline.signals.detector import Detector

LATE_MS = 60_000
"""How long after a bar's end its ticks may still come."""
_INTERVAL_SECONDS = 1.0


class LiveClosing:
    """Closes the bars of owned symbols; the main loop asks on every round."""

    def __init__(
        self,
        detector: Detector,
        assignment: Assignment,
        now_ms: Callable[[], float] = lambda: time.time() * 1000,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._detector = detector
        self._assignment = assignment
        self._now_ms = now_ms
        self._monotonic = monotonic
        self._next = 0.0

    def close(self) -> list[str]:
        """Close what is over, but at most once a second; return the symbols that changed."""
        if self._monotonic() < self._next:
            return []
        self._next = self._monotonic() + _INTERVAL_SECONDS
        # A partition that is not active has its state read again, maybe from an earlier point.
        active = [
            symbol for partition in self._assignment.active for symbol in self._assignment.symbols(partition)
        ]
        return self._detector.close_before(int(self._now_ms()) - LATE_MS, active)


class NoClosing:
    """Leaves it to the ticks."""

    def close(self) -> list[str]:
        """Close nothing."""
        return []
