"""How well a source does, as a number from 0 (of no use) to 1, from what was seen of it. Pure."""

from dataclasses import dataclass, field

from stockpipeline.sources.breaker import Breaker, BreakerState

_WEIGHT = 0.2
"""Of the newest answer in the averages: about the last ten count."""
_SLOW_SECONDS = 10.0
"""An answer that takes this long is worth half."""
_LEAST = 0.2


@dataclass
class SourceHealth:
    """What a source's answers say about all of its symbols; times in seconds of a clock that does not go
    back."""

    breaker: Breaker = field(default_factory=Breaker)
    reliability: float = 1.0
    latency: float = 0.0

    def answered(self, seconds: float | None, now: float) -> None:
        """Note an answer that took ``seconds``, or (None) a failure."""
        self.reliability += _WEIGHT * ((seconds is not None) - self.reliability)
        if seconds is None:
            self.breaker.failed(now)
        else:
            self.breaker.worked()
            self.latency += _WEIGHT * (seconds - self.latency)

    def spoke(self) -> None:
        """Note that the source brought something without being asked."""
        self.reliability += _WEIGHT * (1.0 - self.reliability)
        self.breaker.worked()

    def score(self, now: float) -> float:
        """Return how far the source can be relied on; 0 while its breaker is open, or nearly all fails."""
        if self.breaker.state(now) is BreakerState.OPEN:
            return 0.0
        value = self.reliability / (1.0 + self.latency / _SLOW_SECONDS)
        return value if value >= _LEAST else 0.0


def freshness(silent_ms: float, stale_after_ms: float) -> float:
    """Return 1 for a symbol just heard of, falling to 0 when it was silent for as long as it may be."""
    return max(0.0, 1.0 - silent_ms / stale_after_ms)
