"""Which events are worth a write. Pure but for what it remembers; the clock comes in.

Two rules, both known from Kubernetes' own recorder: the same event again is one event with a count, and a
resource has so many events to spend, which come back slowly. So a pipeline that flaps for a week leaves a
handful of events and not ten thousand.
"""

import threading
from collections import OrderedDict
from dataclasses import dataclass

# The same event is written again, with its count, when it comes again, and then at most this often.
REPEAT_SECONDS = 600.0
BURST, REFILL_SECONDS = 25.0, 300.0
_MOST_EVENTS, _MOST_PIPELINES = 4096, 4096


@dataclass
class Series:
    """An event and how often it has happened since it was first written under `name`."""

    name: str
    count: int
    written_at: float


@dataclass
class _Purse:
    tokens: float
    since: float


class EventBudget:
    """Remembers what was written lately, for a bounded number of events and pipelines. For many threads."""

    def __init__(self) -> None:
        self._series: OrderedDict[tuple[str, ...], Series] = OrderedDict()
        self._purses: OrderedDict[str, _Purse] = OrderedDict()
        self._lock = threading.Lock()

    def happened(self, uid: str, event: tuple[str, ...], name: str, now: float) -> Series | None:
        """Return what to write, if anything: with a count of one a new event called `name`, with a higher one
        an update of the event that has the series' name.

        `uid` is the resource's, `event` is what makes two events the same.
        """
        with self._lock:
            series = self._series.get((uid, *event))
            if series is not None:
                series.count += 1
                if series.count > 2 and now - series.written_at < REPEAT_SECONDS:
                    return None
            if not self._spend(uid, now):
                return None
            if series is None:
                series = self._series[uid, *event] = Series(name, 1, now)
                if len(self._series) > _MOST_EVENTS:
                    self._series.popitem(last=False)
            self._series.move_to_end((uid, *event))
            series.written_at = now
            return Series(series.name, series.count, now)

    def _spend(self, uid: str, now: float) -> bool:
        purse = self._purses.setdefault(uid, _Purse(BURST, now))
        self._purses.move_to_end(uid)
        if len(self._purses) > _MOST_PIPELINES:
            self._purses.popitem(last=False)
        purse.tokens = min(BURST, purse.tokens + (now - purse.since) / REFILL_SECONDS)
        purse.since = now
        if purse.tokens < 1:
            return False
        purse.tokens -= 1
        return True
