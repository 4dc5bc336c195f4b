"""What becomes of a tick."""

from enum import StrEnum
from typing import NamedTuple

from stockpipeline.signals.signal import Signal


class Outcome(StrEnum):
    """How a tick counted."""

    ACCEPTED = "accepted"
    OUT_OF_ORDER = "out-of-order"
    """Accepted, but older than another tick of its bar."""
    LATE = "late"
    DUPLICATE = "duplicate"
    OUTSIDE_SESSION = "outside-session"
    UNKNOWN_SYMBOL = "unknown-symbol"
    MALFORMED = "malformed"

    @property
    def accepted(self) -> bool:
        """Whether the tick changed the symbol's state."""
        return self in (Outcome.ACCEPTED, Outcome.OUT_OF_ORDER)


class TickResult(NamedTuple):
    """How a tick counted, and the signals that it made."""

    outcome: Outcome
    signals: tuple[Signal, ...]


class Readiness(NamedTuple):
    """Whether a symbol's rules can signal; the reason is a sentence, empty when they can."""

    ready: bool
    reason: str


class IndicatorValue(NamedTuple):
    """A value of an indicator, NaN where it is not known, and whether rules may signal on it."""

    value: float
    ready: bool
