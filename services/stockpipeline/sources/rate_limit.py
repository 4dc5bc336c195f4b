"""How often a server may be asked: evenly spread, slower for a while after it said that it was too often."""

import asyncio
import time
from collections.abc import Awaitable, Callable

_SLOWEST_SHARE = 1 / 16
_RECOVERY_SECONDS = 30.0


class RateLimit:
    """Gives turns, at most ``per_second``, to whoever waits, in order.

    Turns are evenly spaced: what a server counts in its own second is then never more than the limit,
    wherever that second begins. ``slow_down`` halves the rate; it doubles again for each 30 s without another
    one.
    """

    def __init__(
        self,
        per_second: float,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], Awaitable[object]] = asyncio.sleep,
    ) -> None:
        self._per_second = per_second
        self._clock = clock
        self._sleep = sleep
        self._next = 0.0
        self._share = 1.0
        self._slowed_at = 0.0

    async def turn(self) -> float:
        """Wait for a turn; return the seconds that it took."""
        now = self._clock()
        self._recover(now)
        mine = max(now, self._next)
        self._next = mine + 1.0 / (self._per_second * self._share)
        if mine > now:
            await self._sleep(mine - now)
        return mine - now

    def allow(self, per_second: float) -> None:
        """Change the limit, from the next turn on; one that is 0 leaves it as it is, for nobody asks."""
        if per_second > 0.0:
            self._per_second = per_second

    def slow_down(self) -> None:
        """Ask half as often from now on, for a while."""
        now = self._clock()
        self._share = max(_SLOWEST_SHARE, self._share / 2)
        self._slowed_at = now
        self._next = max(self._next, now + 1.0 / (self._per_second * self._share))

    def _recover(self, now: float) -> None:
        while self._share < 1.0 and now - self._slowed_at >= _RECOVERY_SECONDS:
            self._share = min(1.0, self._share * 2)
            self._slowed_at += _RECOVERY_SECONDS
