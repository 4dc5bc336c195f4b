"""What a replay tells people at its end: which ticks counted, and how often each rule signalled."""

import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

from stockpipeline.market.ticks import Tick
from stockpipeline.signals.detector import Outcome
from stockpipeline.signals.signal import Signal


@dataclass
class _OfRule:
    """The signals of one rule."""

    side: str
    first: str
    last: str = ""
    count: int = 0
    symbols: set[str] = field(default_factory=set)


class ReplaySummary:
    """Counts along the way; ``text`` is for the end."""

    def __init__(self) -> None:
        self.refused: Counter[str] = Counter()
        """By reason."""
        self._started = time.monotonic()
        self._ticks: Counter[str] = Counter()
        self._first_ms: int | None = None
        self._last_ms = 0
        self._rules: dict[str, _OfRule] = {}

    def tick(self, tick: Tick, outcome: Outcome) -> None:
        """Count a tick."""
        if not outcome.accepted:
            self.refused[outcome] += 1
            return
        self._ticks[tick.symbol] += 1
        if self._first_ms is None:
            self._first_ms = tick.ts
        self._last_ms = tick.ts

    def signal(self, signal: Signal) -> None:
        """Count a signal."""
        rule = self._rules.setdefault(signal.rule, _OfRule(signal.side, signal.bar))
        rule.count += 1
        rule.last = signal.bar
        rule.symbols.add(signal.symbol)

    def text(self, notes: list[str]) -> str:
        """Return all of it as lines for people, ``notes`` included."""
        seconds = time.monotonic() - self._started
        accepted = self._ticks.total()
        taken = accepted + self.refused.total()
        lines = [f"{accepted:,} ticks of {len(self._ticks)} symbols"]
        if self._first_ms is not None:
            lines[0] += f" from {_moment(self._first_ms)} to {_moment(self._last_ms)}"
        lines[0] += f", in {seconds:.1f} s ({taken / seconds:,.0f} ticks/s)"
        if self.refused:
            reasons = ", ".join(f"{count:,} {reason}" for reason, count in self.refused.most_common())
            lines.append(f"{self.refused.total():,} ticks were refused: {reasons}")
        lines += notes
        count = sum(rule.count for rule in self._rules.values())
        lines.append(f"{count:,} signals" if count else "no signals")
        if self._rules:
            rows = [("RULE", "SIDE", "SIGNALS", "SYMBOLS", "FIRST", "LAST")]
            rows += [
                (name, rule.side, f"{rule.count:,}", str(len(rule.symbols)), rule.first, rule.last)
                for name, rule in sorted(self._rules.items(), key=lambda item: -item[1].count)
            ]
            lines += ["", *table(rows)]
        return "\n".join(lines)


def table(rows: Sequence[Sequence[str]]) -> list[str]:
    """Return rows as aligned lines; the first is the header. Columns of numbers are aligned to the right."""
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    numeric = [all(_is_number(row[column]) for row in rows[1:]) for column in range(len(rows[0]))]
    return [
        "  ".join(
            cell.rjust(width) if number else cell.ljust(width)
            for cell, width, number in zip(row, widths, numeric, strict=True)
        ).rstrip()
        for row in rows
    ]


def _is_number(text: str) -> bool:
    return text.lstrip("+-")[:1].isdigit() or text == "-"


def _moment(ts_ms: int) -> str:
    return time.strftime("%Y-%m-%d %H:%M:%SZ", time.gmtime(ts_ms / 1000))
