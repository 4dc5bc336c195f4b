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

    __slots__ = ("armed", "bars_since", "rule")

    def __init__(self, rule: CompiledRule, armed: bool = True, bars_since: int | None = None) -> None:
        self.rule = rule
        self.armed = armed
        self.bars_since = bars_since
        """Bars closed since the last firing; 0 in the bar it fired in, None when it never did."""

    def fires(self, now: Sequence[float], past: Sequence[Sequence[float]]) -> bool:
        """Evaluate the rule on a revised forming bar and return whether it signals.

        A division by zero in the rule leaves it unevaluated and the latch as it was.
        """
        rule = self.rule
        try:
            if self.armed:
                holds = rule.when(now, past)
            elif rule.rearm is None:
                holds = rule.when(now, past)
                self.armed = not holds
                return False
            elif rule.rearm(now, past):
                holds = rule.when(now, past)
                self.armed = True
            else:
                return False
        except ZeroDivisionError:
            return False
        if not holds or (self.bars_since is not None and self.bars_since < max(1, rule.cooldown_bars)):
            return False
        self.armed = False
        self.bars_since = 0
        return True

    def bar_closed(self) -> None:
        """Count a closed bar."""
        if self.bars_since is not None:
            self.bars_since += 1
