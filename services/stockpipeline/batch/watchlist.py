"""Which symbols to watch: what the rules found, one row a symbol, the most important first. Pure."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby

import pyarrow as pa

from stockpipeline.api import DEFAULT_INDICATORS, Indicator, Rule, Side, Tier

WATCHLIST = pa.schema(
    [
        ("session", pa.date32()),
        ("symbol", pa.string()),
        ("rule", pa.string()),
        ("side", pa.string()),
        ("price", pa.float64()),
        ("position", pa.int32()),
        ("tier", pa.string()),
        ("reason", pa.string()),
    ]
)
"""The columns of the store's watchlist."""

SCAN_INDICATORS = (
    *DEFAULT_INDICATORS,
    Indicator(name="rvol20", function="RVOL", parameters={"timeperiod": 20}),
)
SCAN_RULES = (
    Rule(name="rsi-oversold", side=Side.BUY, when="rsi14 < 30"),
    Rule(name="bb-lower-touch", side=Side.BUY, when="low <= bb_lower"),
    Rule(name="volume-surge", side=Side.BUY, when="rvol20 > 3 and close > prev(close)"),
)
"""What is scanned for where nothing else is asked for; the first rule is the most important one."""


def batch_indicators(own: Sequence[Indicator]) -> tuple[Indicator, ...]:
    """Return what the batch computes: a pipeline's own indicators, and the scan's of other names."""
    names = {indicator.name for indicator in own}
    return (*own, *(indicator for indicator in SCAN_INDICATORS if indicator.name not in names))


@dataclass(frozen=True)
class Finding:
    """A rule that holds for a symbol at a session's close; rule 0 is the most important one."""

    symbol: str
    order: int
    rule: str
    side: str
    price: float
    values: tuple[tuple[str, float], ...]
    """The indicator values that the rule reads, by name."""

    @property
    def reason(self) -> str:
        """The rule and what it saw, for people."""
        values = ", ".join(f"{name} {value:.4g}" for name, value in self.values)
        return f"{self.rule} ({values})" if values else self.rule


@dataclass(frozen=True)
class Pick:
    """One row of the watchlist, with position 1 for the most important."""

    position: int
    finding: Finding
    tier: str | None
    reason: str
    """Every rule that holds, with what it saw."""


def choose(
    findings: Iterable[Finding],
    limit: int,
    market_caps: Mapping[str, float] | None = None,
    tiers: Sequence[Tier] = (),
) -> list[Pick]:
    """Return the watchlist: each symbol once, under the most important of its rules, ``limit`` at most.

    Rows are in the order of rules, of market capitalisation (in US dollars; those not known come last), of
    symbols.
    """
    caps = market_caps or {}
    ordered = sorted(findings, key=lambda one: (one.symbol, one.order))
    symbols = [list(found) for _, found in groupby(ordered, key=lambda one: one.symbol)]
    symbols.sort(key=lambda found: (found[0].order, -caps.get(found[0].symbol, 0.0), found[0].symbol))
    return [
        Pick(
            position,
            found[0],
            _tier(caps.get(found[0].symbol), tiers),
            "; ".join(finding.reason for finding in found),
        )
        for position, found in enumerate(symbols[:limit], 1)
    ]


def watchlist_table(session: int, picks: Sequence[Pick]) -> pa.Table:
    """Return the rows for the store."""
    columns: list[list[object]] = [
        [session] * len(picks),
        [pick.finding.symbol for pick in picks],
        [pick.finding.rule for pick in picks],
        [pick.finding.side for pick in picks],
        [pick.finding.price for pick in picks],
        [pick.position for pick in picks],
        [pick.tier for pick in picks],
        [pick.reason for pick in picks],
    ]
    sessions = pa.array(columns[0], pa.int32()).cast(pa.date32())
    rest = zip(columns[1:], list(WATCHLIST)[1:], strict=True)
    return pa.table([sessions, *(pa.array(column, field.type) for column, field in rest)], schema=WATCHLIST)


def picks_of(table: pa.Table) -> tuple[Pick, ...]:
    """Return the picks of a watchlist that was written down, without the values behind their reasons."""
    return tuple(
        Pick(
            row["position"],
            Finding(row["symbol"], 0, row["rule"], row["side"], row["price"], ()),
            row["tier"],
            row["reason"],
        )
        for row in table.to_pylist()
    )


def _tier(market_cap: float | None, tiers: Sequence[Tier]) -> str | None:
    """Return the highest tier that a market capitalisation reaches."""
    reached = [tier for tier in tiers if market_cap is not None and market_cap >= tier.minimum_market_cap]
    return max(reached, key=lambda tier: tier.minimum_market_cap).name if reached else None
