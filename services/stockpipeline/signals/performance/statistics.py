"""Figures over the net returns of signals, each with its source; hand-worked cases are in the tests.

Signals overlap: those of one symbol on one day see nearly the same prices. Intervals of mean and median are
therefore made by resampling *clusters*, all returns of a symbol and day together, as a whole.
"""

from collections.abc import Hashable, Sequence
from math import sqrt
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

CONFIDENCE_Z = 1.959963984540054
"""The 97.5 % point of the normal distribution: intervals are of 95 %."""
RESAMPLES = 2000
FEWEST_CLUSTERS = 5
"""Below it a resampled interval says nothing, and is left out."""
FEWEST_FOR_SHARPE = 30
_CELLS_AT_ONCE = 2_000_000

Floats = NDArray[np.float64]


class Interval(NamedTuple):
    """Both ends of a 95 % interval."""

    low: float
    high: float


def wilson(hits: int, count: int) -> Interval:
    """Return the interval of a rate of ``hits`` in ``count`` ≥ 1.

    E. B. Wilson, Probable inference, the law of succession, and statistical inference, J. Am. Stat. Assoc. 22
    (1927), 209-212. Unlike the textbook's p ± z s it stays within 0 and 1 and holds for few signals.
    """
    z2 = CONFIDENCE_Z**2
    rate = hits / count
    center = (rate + z2 / (2 * count)) / (1 + z2 / count)
    half = CONFIDENCE_Z / (1 + z2 / count) * sqrt(rate * (1 - rate) / count + z2 / (4 * count**2))
    # Where all or none hit, one end is exactly there; rounding must not say otherwise.
    return Interval(
        0.0 if hits == 0 else max(0.0, center - half), 1.0 if hits == count else min(1.0, center + half)
    )


def bootstrap(
    values: Sequence[float], clusters: Sequence[Hashable], seed: int
) -> tuple[Interval, Interval] | None:
    """Return the intervals of mean and median; None for fewer than 5 clusters.

    Percentile bootstrap over clusters (B. Efron, Bootstrap methods, Ann. Statist. 7 (1979), 1-26; for
    clusters: A. C. Davison and D. V. Hinkley, Bootstrap Methods and their Application, 1997, ch. 3.8):
    as many clusters as there are, drawn with replacement, 2,000 times. The same values and seed give the same
    intervals.
    """
    numbers = {cluster: number for number, cluster in enumerate(dict.fromkeys(clusters))}
    count = len(numbers)
    if count < FEWEST_CLUSTERS:
        return None
    order = np.argsort(np.asarray(values, dtype=np.float64), kind="stable")
    ordered = np.asarray(values, dtype=np.float64)[order]
    cluster_of = np.array([numbers[cluster] for cluster in clusters])[order]
    random = np.random.Generator(np.random.PCG64(seed))
    batch = max(1, _CELLS_AT_ONCE // len(ordered))
    means: list[Floats] = []
    medians: list[Floats] = []
    for start in range(0, RESAMPLES, batch):
        rows = min(batch, RESAMPLES - start)
        drawn = random.integers(0, count, size=(rows, count))
        # How often each cluster was drawn is how often each of its values counts.
        offsets = np.arange(rows)[:, None] * count
        often = np.bincount((drawn + offsets).ravel(), minlength=rows * count).reshape(rows, count)
        weights = often[:, cluster_of]
        up_to = weights.cumsum(axis=1)
        total = up_to[:, -1:]
        means.append(weights @ ordered / total[:, 0])
        lower = (up_to <= (total - 1) // 2).sum(axis=1)
        upper = (up_to <= total // 2).sum(axis=1)
        medians.append((ordered[lower] + ordered[upper]) / 2)
    return _percentiles(np.concatenate(means)), _percentiles(np.concatenate(medians))


def _percentiles(values: Floats) -> Interval:
    low, high = np.percentile(values, [2.5, 97.5])
    return Interval(float(low), float(high))


class TradeFigures(NamedTuple):
    """What a trader asks of a series of net returns; None where there is nothing to divide by."""

    profit_factor: float | None
    """Sum of the gains over the sum of the losses."""
    payoff: float | None
    """Average gain over average loss."""
    expectancy: float
    """Share of gains x average gain - share of losses x average loss: what one more signal earns on average,
    in returns. (V. K. Tharp, Trade Your Way to Financial Freedom, 1998, divides it by the average loss.)"""
    sharpe: float | None
    """Mean over standard deviation, per signal, not annualised (W. F. Sharpe, The Sharpe ratio, J. Portfolio
    Management 21 (1994), 49-58, without a riskless rate). None for fewer than 30 signals."""


def trade_figures(values: Sequence[float]) -> TradeFigures:
    """Return the figures of one or more returns."""
    gains = [value for value in values if value > 0.0]
    losses = [-value for value in values if value < 0.0]
    count = len(values)
    mean_gain = sum(gains) / len(gains) if gains else 0.0
    mean_loss = sum(losses) / len(losses) if losses else 0.0
    sharpe = None
    if count >= FEWEST_FOR_SHARPE:
        deviation = float(np.std(values, ddof=1))
        sharpe = float(np.mean(values)) / deviation if deviation > 0.0 else None
    return TradeFigures(
        profit_factor=sum(gains) / sum(losses) if losses else None,
        payoff=mean_gain / mean_loss if gains and losses else None,
        expectancy=len(gains) / count * mean_gain - len(losses) / count * mean_loss,
        sharpe=sharpe,
    )


def equity(values: Sequence[float]) -> list[float]:
    """Return the sums of the returns so far: what one unit staked on each signal had earned after it.

    Not compounded: overlapping signals cannot each stake the whole purse.
    """
    sums: Floats = np.cumsum(np.asarray(values, dtype=np.float64))
    result: list[float] = sums.tolist()
    return result


def max_drawdown(curve: Sequence[float]) -> float:
    """Return the deepest fall of an equity curve from a height before it, as a number ≥ 0.

    The height is at least 0, where every curve begins. (M. Magdon-Ismail and A. Atiya, Maximum drawdown,
    Risk 17 (2004), 99-102.)
    """
    points = np.concatenate(([0.0], np.asarray(curve, dtype=np.float64)))
    return float((np.maximum.accumulate(points) - points).max())
