"""The performance of signals by rule and horizon, and within that by symbol and by confidence."""

from collections import defaultdict
from collections.abc import Iterable
from hashlib import blake2b
from statistics import fmean, median
from typing import NamedTuple

import msgspec

from stockpipeline.signals.performance.record import Performance, Result
from stockpipeline.signals.performance.statistics import (
    Interval,
    bootstrap,
    equity,
    max_drawdown,
    trade_figures,
    wilson,
)

_CONFIDENCES = ((0.999, "0.999-1"), (0.99, "0.99-0.999"), (0.0, "0-0.99"))


class Group(NamedTuple):
    """Which signals are summed up; None stands for all."""

    rule: str
    horizon: str
    symbol: str | None
    confidence: str | None
    """A range, such as ``0.999-1``."""


class Aggregate(msgspec.Struct, frozen=True):
    """Figures over the net returns of a group; returns are fractions, 0.01 is one percent."""

    rule: str
    horizon: str
    symbol: str | None
    confidence: str | None
    n: int
    hit_rate: float
    """Share of signals that earned more than their costs."""
    hit_rate_interval: Interval
    mean: float
    mean_interval: Interval | None
    median: float
    median_interval: Interval | None
    mean_excess: float | None
    """Mean return over the benchmark's, before costs; null where there is none."""
    mean_mfe: float
    mean_mae: float
    profit_factor: float | None
    payoff: float | None
    expectancy: float
    sharpe: float | None
    max_drawdown: float
    equity: list[tuple[int, float]]
    """(exit in epoch ms, sum of the returns so far), in the order of the exits; for whole rules only."""


class _Outcome(NamedTuple):
    record: Performance
    result: Result


def aggregate(records: Iterable[Performance]) -> list[Aggregate]:
    """Return the aggregates of all horizons that were reached, also of positions that are still open.

    Four levels: rule x horizon, these by symbol, by confidence, and by both. In the order of their names.
    """
    groups: defaultdict[Group, list[_Outcome]] = defaultdict(list)
    for record in records:
        confidence = confidence_range(record.confidence)
        for horizon, result in record.horizons.items():
            if result is None:
                continue
            for symbol in (None, record.symbol):
                for of_confidence in (None, confidence):
                    group = Group(record.rule, horizon, symbol, of_confidence)
                    groups[group].append(_Outcome(record, result))
    return [_aggregate(group, groups[group]) for group in sorted(groups, key=_order)]


def confidence_range(confidence: float) -> str:
    """Return the name of the range that a signal's confidence is in."""
    return next(name for least, name in _CONFIDENCES if confidence >= least)


def _aggregate(group: Group, outcomes: list[_Outcome]) -> Aggregate:
    outcomes.sort(key=lambda outcome: (outcome.result.exit.ts, outcome.record.id))
    returns = [outcome.result.net_return for outcome in outcomes]
    excesses = [o.result.excess for o in outcomes if o.result.excess is not None]
    hits = sum(value > 0.0 for value in returns)
    intervals = bootstrap(returns, [(o.record.symbol, o.record.bar[:10]) for o in outcomes], _seed(group))
    figures = trade_figures(returns)
    curve = equity(returns)
    times = (outcome.result.exit.ts for outcome in outcomes)
    whole_rule = group.symbol is None and group.confidence is None
    return Aggregate(
        *group,
        n=len(returns),
        hit_rate=hits / len(returns),
        hit_rate_interval=wilson(hits, len(returns)),
        mean=fmean(returns),
        mean_interval=None if intervals is None else intervals[0],
        median=median(returns),
        median_interval=None if intervals is None else intervals[1],
        mean_excess=fmean(excesses) if excesses else None,
        mean_mfe=fmean(outcome.result.mfe for outcome in outcomes),
        mean_mae=fmean(outcome.result.mae for outcome in outcomes),
        profit_factor=figures.profit_factor,
        payoff=figures.payoff,
        expectancy=figures.expectancy,
        sharpe=figures.sharpe,
        max_drawdown=max_drawdown(curve),
        equity=list(zip(times, curve, strict=True)) if whole_rule else [],
    )


def _seed(group: Group) -> int:
    """Return a seed of the group's own, so that intervals do not depend on what else is summed up."""
    return int.from_bytes(blake2b(repr(tuple(group)).encode(), digest_size=8).digest())


def _order(group: Group) -> tuple[str, tuple[str, int], str, str]:
    unit = "mhd".index(group.horizon[-1])
    return group.rule, (str(unit), int(group.horizon[:-1])), group.symbol or "", group.confidence or ""
