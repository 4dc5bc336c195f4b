"""What became of each symbol's download, and whether it is enough to go on. Pure.

A download that brings nothing looks like success in many clients, so success is defined by what came: a bar
of the session that the batch runs for.
"""

from collections import Counter
from collections.abc import Mapping
from enum import StrEnum

_NAMED = 5


class Outcome(StrEnum):
    """What became of a symbol's download."""

    OK = "ok"
    """There is a bar of the session."""
    NO_DATA = "no data"
    """The source knows the symbol, and has no bar of the session."""
    DELISTED = "delisted"
    """No source knows the symbol."""
    RATE_LIMITED = "rate-limited"
    """The source refused to answer so often."""
    ERROR = "error"
    """The source did not answer, or not with a chart."""


class CoverageTooLow(Exception):
    """Too few symbols were downloaded to publish anything; the message has the reasons."""


def coverage(outcomes: Mapping[str, Outcome]) -> float:
    """Return the share of active symbols, those not delisted, that have the session's bar; 0…1."""
    active = [outcome for outcome in outcomes.values() if outcome is not Outcome.DELISTED]
    return active.count(Outcome.OK) / len(active) if active else 0.0


def check_coverage(outcomes: Mapping[str, Outcome], minimum: float) -> float:
    """Return the coverage; raise ``CoverageTooLow`` where it is below the minimum."""
    found = coverage(outcomes)
    if found >= minimum and outcomes:
        return found
    counts = Counter(outcomes.values())
    reasons = []
    for outcome in Outcome:
        if outcome is Outcome.OK or not counts[outcome]:
            continue
        symbols = sorted(symbol for symbol, one in outcomes.items() if one is outcome)
        named = ", ".join(symbols[:_NAMED]) + (", …" if len(symbols) > _NAMED else "")
        reasons.append(f"{counts[outcome]} {outcome} ({named})")
    raise CoverageTooLow(
        f"{found:.1%} of the active symbols have a bar of the session, {minimum:.1%} are needed; nothing was "
        f"published. Of {len(outcomes)} symbols: {'; '.join(reasons) or 'none'}"
    )
