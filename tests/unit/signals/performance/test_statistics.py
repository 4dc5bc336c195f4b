"""Statistics against published and hand-worked values, and plain computations of other making."""

import random
import statistics
from itertools import product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stockpipeline.signals.performance.statistics import (
    CONFIDENCE_Z,
    bootstrap,
    equity,
    max_drawdown,
    trade_figures,
    wilson,
)


def test_the_normal_point() -> None:
    assert pytest.approx(statistics.NormalDist().inv_cdf(0.975)) == CONFIDENCE_Z


@pytest.mark.parametrize(
    ("hits", "count", "low", "high"),
    [
        # R. G. Newcombe, Statistics in Medicine 17 (1998), 857-872, table I, method 3.
        (81, 263, 0.2553, 0.3662),
        (15, 148, 0.0624, 0.1605),
        (0, 20, 0.0000, 0.1611),
        (1, 29, 0.0061, 0.1718),
    ],
)
def test_wilson_as_published(hits: int, count: int, low: float, high: float) -> None:
    assert wilson(hits, count) == pytest.approx((low, high), abs=5e-5)


@given(st.integers(1, 300), st.data())
def test_wilson_solves_the_equation_it_comes_from(count: int, data: st.DataObject) -> None:
    """The ends are the rates p at which the observed one is just z standard errors (of p) away."""
    hits = data.draw(st.integers(0, count))
    for end in wilson(hits, count):
        assert 0.0 <= end <= 1.0
        if 0.0 < end < 1.0:
            error = (end * (1 - end) / count) ** 0.5
            assert abs(hits / count - end) == pytest.approx(CONFIDENCE_Z * error, rel=1e-6)


def test_trade_figures_by_hand() -> None:
    figures = trade_figures([0.03, -0.01, 0.01, 0.0, -0.03])
    # Gains 0.03 + 0.01, losses 0.01 + 0.03; averages 0.02 and 0.02; 2 of 5 gain and 2 of 5 lose.
    assert figures.profit_factor == pytest.approx(1.0)
    assert figures.payoff == pytest.approx(1.0)
    assert figures.expectancy == pytest.approx(0.0)
    assert figures.sharpe is None
    uneven = trade_figures([0.06, -0.01, -0.02])
    assert uneven.profit_factor == pytest.approx(2.0)
    assert uneven.payoff == pytest.approx(4.0)
    assert uneven.expectancy == pytest.approx(0.01)


def test_nothing_is_divided_by_nothing() -> None:
    assert trade_figures([0.01, 0.02])[:2] == (None, None)
    assert trade_figures([-0.01]) == (0.0, None, -0.01, None)
    assert trade_figures([0.0] * 40)[:] == (None, None, 0.0, None)


def test_no_sharpe_below_thirty_signals() -> None:
    values = [0.01, -0.02, 0.03] * 10
    assert trade_figures(values[:29]).sharpe is None
    assert trade_figures(values).sharpe == pytest.approx(statistics.mean(values) / statistics.stdev(values))


@given(st.lists(st.floats(-1, 1), min_size=1, max_size=50))
def test_expectancy_is_what_one_more_signal_earns(values: list[float]) -> None:
    assert trade_figures(values).expectancy == pytest.approx(statistics.fmean(values), abs=1e-12)


def test_drawdown_by_hand() -> None:
    curve = equity([0.1, 0.2, -0.15, -0.1, 0.3, -0.05])
    assert curve == pytest.approx([0.1, 0.3, 0.15, 0.05, 0.35, 0.3])
    assert max_drawdown(curve) == pytest.approx(0.25)
    assert max_drawdown(equity([-0.1, -0.2])) == pytest.approx(0.3)
    assert max_drawdown(equity([0.1, 0.2])) == 0.0


@given(st.lists(st.floats(-1, 1), min_size=1, max_size=40))
def test_drawdown_is_the_worst_of_all_pairs(values: list[float]) -> None:
    curve = [0.0, *equity(values)]
    worst = max(curve[i] - curve[j] for i in range(len(curve)) for j in range(i, len(curve)))
    assert max_drawdown(curve[1:]) == pytest.approx(worst, abs=1e-12)


def test_the_same_seed_gives_the_same_interval() -> None:
    draw, clusters = random.Random(1), list(range(50))
    values = [draw.gauss(0, 1) for _ in clusters]
    assert bootstrap(values, clusters, 1) == bootstrap(values, clusters, 1)
    assert bootstrap(values, clusters, 1) != bootstrap(values, clusters, 2)


def test_few_clusters_give_no_interval() -> None:
    assert bootstrap([1.0] * 100, ["a", "b", "c", "d"] * 25, 1) is None
    assert bootstrap([1.0] * 5, list("abcde"), 1) == ((1.0, 1.0), (1.0, 1.0))


def test_the_bootstrap_is_the_one_over_all_resamples() -> None:
    """With 5 clusters all 5^5 resamples can be listed: the intervals must be those of the whole list."""
    groups = [[0.05, 0.01], [-0.02], [0.03, 0.02, -0.01], [-0.04, 0.06], [0.0]]
    means, medians = [], []
    for drawn in product(groups, repeat=5):
        values = [value for group in drawn for value in group]
        means.append(statistics.fmean(values))
        medians.append(statistics.median(values))
    values = [value for group in groups for value in group]
    clusters = [number for number, group in enumerate(groups) for _ in group]
    found = bootstrap(values, clusters, 7)
    assert found is not None
    for interval, exact in zip(found, (means, medians), strict=True):
        # 2,000 draws miss a quantile of the whole list by a rank of about 1 % at most.
        low, high = np.percentile(exact, [1.2, 3.8]), np.percentile(exact, [96.2, 98.8])
        assert low[0] <= interval.low <= low[1]
        assert high[0] <= interval.high <= high[1]


def test_clusters_widen_the_interval() -> None:
    """Ten signals of a day that are all the same say no more than one of them."""
    draw = random.Random(3)
    days = [draw.gauss(0, 0.02) for _ in range(40)]
    repeated = [value for value in days for _ in range(10)]
    clustered = bootstrap(repeated, [day for day in range(40) for _ in range(10)], 1)
    single = bootstrap(days, list(range(40)), 1)
    alone = bootstrap(repeated, list(range(400)), 1)
    assert clustered is not None
    assert single is not None
    assert alone is not None
    width = clustered[0].high - clustered[0].low
    assert width == pytest.approx(single[0].high - single[0].low, rel=1e-9)
    assert width > 2.5 * (alone[0].high - alone[0].low)
