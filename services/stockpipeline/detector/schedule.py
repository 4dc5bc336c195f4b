"""When to commit: each commit costs the broker several writes, but a signal wants to be seen."""

import time
from collections.abc import Callable

URGENT_INTERVAL_SECONDS = 0.02
"""The least time from one commit to the next one with a signal."""
BEHIND_INTERVAL_SECONDS = 1.0
"""The least time between two commits of a detector that is far behind: each writes many states."""


class CommitSchedule:
    """Knows how long the open transaction may wait: without a signal, the interval.

    A signal hurries it, unless ticks are waiting behind it: then they are worked off first, because a
    detector that is behind gains more from throughput. One that is far behind commits seldom.
    """

    def __init__(self, interval_seconds: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._interval_seconds = interval_seconds
        self._clock = clock
        self._opened_at: float | None = None
        self._closed_at = float("-inf")
        self._urgent = False
        self._far_behind = False

    @property
    def is_open(self) -> bool:
        """Whether a transaction is open."""
        return self._opened_at is not None

    def opened(self) -> None:
        """A transaction was opened."""
        self._opened_at = self._clock()

    def urgent(self) -> None:
        """The open transaction has a signal."""
        self._urgent = True

    def closed(self) -> None:
        """The transaction was committed or aborted."""
        self._opened_at = None
        self._closed_at = self._clock()
        self._urgent = False

    def is_due(self, *, caught_up: bool, far_behind: bool) -> bool:
        """Whether to commit now; `caught_up` when no tick waits, `far_behind` when many do."""
        self._far_behind = far_behind
        if self._opened_at is None:
            return False
        now = self._clock()
        if now >= self._opened_at + self._interval:
            return True
        hurried = self._urgent and caught_up and not far_behind
        return hurried and now >= self._closed_at + URGENT_INTERVAL_SECONDS

    def seconds_left(self) -> float:
        """Seconds to wait for more ticks, at most, before asking again."""
        if self._opened_at is None:
            return self._interval_seconds
        due = self._opened_at + self._interval
        if self._urgent and not self._far_behind:
            due = min(due, self._closed_at + URGENT_INTERVAL_SECONDS)
        return max(0.0, due - self._clock())

    @property
    def _interval(self) -> float:
        if self._far_behind:
            return max(self._interval_seconds, BEHIND_INTERVAL_SECONDS)
        return self._interval_seconds
