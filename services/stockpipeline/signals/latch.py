"""The latch: it lets a rule signal once, where its condition would hold on every tick.

A latch is armed at first. When an armed rule's condition holds it fires and is disarmed; it is armed again
only when the re-arm condition holds, which is best set apart from the condition ("rsi14 < 30", re-armed by
"rsi14 > 35"), so that prices dithering around a threshold make one signal. Besides, a rule fires at most
once in a bar, and not before its cooldown is over.
"""

from collections.abc import Sequence

from stockpipeline.signals.rules import CompiledRule


class Latch:
    """The latch of one rule for one symbol."""

    __slots__ = ("armed", "awaited", "bars_since", "rule")

    def __init__(self, rule: CompiledRule) -> None:
        self.rule = rule
        self.set(armed=True, bars_since=None)

    def set(self, armed: bool, bars_since: int | None) -> None:
        """Bring the latch into a state.

        ``bars_since`` counts the bars closed since the last firing: 0 in the bar it fired in, None when it
        never did.
        """
        self.armed = armed
        self.bars_since = bars_since
        self.awaited = self.rule.when if armed else self.rule.rearm
        """The condition that changes something when it holds: all that needs a look on most ticks."""

    @property
    def is_blocked(self) -> bool:
        """Whether nothing can happen before the next closed bar: armed, but the last firing is too recent."""
        return self.armed and self._is_cooling

    @property
    def _is_cooling(self) -> bool:
        return self.bars_since is not None and self.bars_since < max(1, self.rule.cooldown_bars)

    def advance(self, now: Sequence[float], past: Sequence[Sequence[float]]) -> bool:
        """Go on, now that ``awaited`` holds on these vectors; return whether the rule signals."""
        rule = self.rule
        if not self.armed:
            self.set(armed=True, bars_since=self.bars_since)
            if not rule.when(now, past):
                return False
        if self._is_cooling:
            return False
        self.set(armed=False, bars_since=0)
        return True

    def bar_closed(self) -> None:
        """Count a closed bar."""
        if self.bars_since is not None:
            self.bars_since += 1
