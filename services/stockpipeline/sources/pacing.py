"""When a tick of the past is due: trading time, played at a speed.

Trading time only passes inside sessions: nights, weekends and holidays take none, nor do sessions without
ticks.
"""

import time
from collections.abc import Callable

from stockpipeline.market.calendar import SessionCalendar

_MS_PER_SECOND = 1000.0


class Pacer:
    """Waits until a tick is due; ``speed`` is seconds of trading time per second, 0 as fast as possible.

    Event times must not go back. The clock starts with the first tick. Who was held up is not waited for:
    ticks that are overdue are due at once, until the replay has caught up.
    """

    def __init__(
        self,
        calendar: SessionCalendar,
        speed: float,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], object] = time.sleep,
    ) -> None:
        self._calendar = calendar
        self._speed = speed
        self._clock = clock
        self._sleep = sleep
        self._started_at: float | None = None
        self._first_ms = 0
        self._closed_ms = 0
        self._opens_ms, self._closes_ms = 0, -1

    @property
    def keeps_time(self) -> bool:
        """Whether ticks come at a pace at all, instead of all at once."""
        return self._speed > 0

    def delay(self, ts_ms: int) -> float:
        """Return the seconds until a tick of this event time is due; 0 when it is."""
        if not self.keeps_time:
            return 0.0
        trading_ms = self._trading_ms(ts_ms)
        if self._started_at is None:
            self._started_at, self._first_ms = self._clock(), trading_ms
        due = self._started_at + (trading_ms - self._first_ms) / _MS_PER_SECOND / self._speed
        return max(0.0, due - self._clock())

    def wait(self, ts_ms: int) -> None:
        """Sleep until a tick of this event time is due."""
        delay = self.delay(ts_ms)
        if delay > 0.0:
            self._sleep(delay)

    def _trading_ms(self, ts_ms: int) -> int:
        """Return the milliseconds inside of sessions up to this event time, from the first session seen."""
        if ts_ms > self._closes_ms:
            session = self._calendar.session_of(ts_ms)
            if session is None:
                return self._closed_ms
            self._closed_ms += max(0, self._closes_ms - self._opens_ms)
            self._opens_ms, self._closes_ms = self._calendar.open_close_ms(session)
        return self._closed_ms + ts_ms - self._opens_ms
