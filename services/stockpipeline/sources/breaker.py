"""A circuit breaker: after failures in a row it stops asking, later lets one probe through, and closes when
that one works. Pure: the time (seconds, any clock that does not go back) is given."""

from enum import IntEnum


class BreakerState(IntEnum):
    """As the metric shows it."""

    CLOSED = 0
    HALF_OPEN = 1
    OPEN = 2


class Breaker:
    """Opens after ``failures`` in a row for ``cooldown`` seconds; each failed probe doubles them, up to
    ``longest``."""

    __slots__ = (
        "_cooldown",
        "_first_cooldown",
        "_in_a_row",
        "_limit",
        "_longest",
        "_open_until",
        "_probing_until",
    )

    def __init__(self, failures: int = 5, cooldown: float = 5.0, longest: float = 300.0) -> None:
        self._limit = failures
        self._first_cooldown = self._cooldown = cooldown
        self._longest = longest
        self._in_a_row = 0
        self._open_until: float | None = None
        self._probing_until = 0.0

    def state(self, now: float) -> BreakerState:
        """Return the state at this time."""
        if self._open_until is None:
            return BreakerState.CLOSED
        return BreakerState.OPEN if now < self._open_until else BreakerState.HALF_OPEN

    def allows(self, now: float) -> bool:
        """Return whether to ask now. While half open, one probe at a time: another when that one is not heard
        of for as long as the breaker was open."""
        state = self.state(now)
        if state is BreakerState.CLOSED:
            return True
        if state is BreakerState.OPEN or now < self._probing_until:
            return False
        self._probing_until = now + self._cooldown
        return True

    def worked(self) -> None:
        """Note a success."""
        self._in_a_row = 0
        self._open_until = None
        self._cooldown = self._first_cooldown
        self._probing_until = 0.0

    def failed(self, now: float) -> None:
        """Note a failure."""
        self._in_a_row += 1
        if self._open_until is not None:
            if now >= self._open_until:
                self._cooldown = min(self._longest, self._cooldown * 2)
                self._open_until = now + self._cooldown
                self._probing_until = 0.0
        elif self._in_a_row >= self._limit:
            self._open_until = now + self._cooldown
