"""Keeps the view of open signals in Redis up to date, in a thread of its own.

What was committed is handed over and written when Redis takes it; ticks and commits never wait for that. Of
each signal only the newest state counts. After a failure all open signals are written anew, so nothing is
missing and nothing is left over when Redis comes back, also empty.
"""

import threading
from collections.abc import Mapping

import structlog

from stockpipeline.adapters.performance_redis import Closed, PerformanceView, ViewUnavailable

_RETRY_SECONDS = 1.0
_MOST_UNWRITTEN_CLOSED = 1000
_log = structlog.get_logger()


class _Partition:
    """What is to be written of one partition."""

    def __init__(self, open_ones: Mapping[str, bytes], closed: Mapping[str, Closed]) -> None:
        self.open = dict(open_ones)
        self.changed: dict[str, bytes] = {}
        self.closed = dict(closed)
        self.whole = True


class LiveView:
    """The view of the partitions that this detector owns."""

    def __init__(self, view: PerformanceView) -> None:
        self._view = view
        self._partitions: dict[int, _Partition] = {}
        self._lock = threading.Condition()
        self._stopping = False
        self._failed = False
        self._thread = threading.Thread(target=self._run, name="live-view", daemon=True)
        self._thread.start()

    def begin(self, partition: int, open_ones: Mapping[str, bytes], closed: Mapping[str, Closed]) -> None:
        """Own a partition, with these open signals (id → JSON), and the newest closed ones."""
        with self._lock:
            self._partitions[partition] = _Partition(open_ones, closed)
            self._lock.notify()

    def drop(self, partition: int) -> None:
        """Own a partition no more; its view stays as it is for the next owner."""
        with self._lock:
            self._partitions.pop(partition, None)

    def update(self, partition: int, changed: Mapping[str, bytes], closed: Mapping[str, Closed]) -> None:
        """Take what was committed: open signals that changed, and signals that were closed."""
        with self._lock:
            mine = self._partitions.get(partition)
            if mine is None:
                return
            mine.open.update(changed)
            mine.changed.update(changed)
            for signal, final in closed.items():
                mine.open.pop(signal, None)
                mine.changed.pop(signal, None)
                mine.closed[signal] = final
            while len(mine.closed) > _MOST_UNWRITTEN_CLOSED:
                # The view would not keep them either.
                mine.closed.pop(next(iter(mine.closed)))
            self._lock.notify()

    def close(self) -> None:
        """Write what is left, if Redis takes it, and end the thread."""
        with self._lock:
            self._stopping = True
            self._lock.notify()
        self._thread.join()
        self._view.close()

    def _run(self) -> None:
        while True:
            with self._lock:
                self._lock.wait_for(lambda: self._stopping or self._unwritten() is not None)
                partition = self._unwritten()
                if partition is None:
                    return
                mine = self._partitions[partition]
                changed = mine.open if mine.whole else mine.changed
                changed, closed, whole = dict(changed), mine.closed, mine.whole
                mine.changed, mine.closed, mine.whole = {}, {}, False
            try:
                self._view.write(partition, changed, closed, whole=whole)
            except ViewUnavailable as error:
                if self._failed_again(mine, closed, str(error)):
                    return
            else:
                if self._failed:
                    _log.info("signals are shown in Redis again")
                self._failed = False

    def _unwritten(self) -> int | None:
        """Return a partition of which something is not written."""
        for number, mine in self._partitions.items():
            if mine.whole or mine.changed or mine.closed:
                return number
        return None

    def _failed_again(self, mine: _Partition, closed: dict[str, Closed], why: str) -> bool:
        """Have it all written again, after a while; return whether to end instead."""
        if not self._failed:
            _log.warning("signals are not shown in Redis until it can be used", why=why)
        self._failed = True
        with self._lock:
            mine.whole = True
            mine.closed = closed | mine.closed
            self._lock.wait_for(lambda: self._stopping, timeout=_RETRY_SECONDS)
            return self._stopping
