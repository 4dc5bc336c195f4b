"""The batch's values against the stream's: the same bits at every closed bar."""

from __future__ import annotations

import numpy as np
import pytest

from stockpipeline.api import BAR_FIELDS, DEFAULT_INDICATORS, Indicator
from stockpipeline.indicators.catalog import functions
from stockpipeline.indicators.engine import IndicatorEngine, Plan
from stockpipeline.indicators.series import many_series_values, series_values
from stockpipeline.market.bars import Bar, BarSeries
from stockpipeline.market.packaged import PACKAGED_SYMBOLS, packaged_bars
from tests.unit.indicators.test_engine import random_bars


def streamed(plan: Plan, bars: BarSeries) -> np.ndarray:
    """The stream's values after each bar, begun with the first one."""
    engine = IndicatorEngine(plan, BarSeries.empty())
    rows = []
    for bar in bars:
        engine.commit(bar)
        rows.append(engine.past[0][len(BAR_FIELDS) :])
    return np.array(rows).T


def with_flat_stretches(bars: BarSeries) -> BarSeries:
    """The bars, of which some stand still for longer than the windows of most functions."""
    rows = list(bars)
    for start, length in ((60, 4), (80, 40)):
        still = rows[start]
        for index in range(start, start + length):
            rows[index] = Bar(rows[index].session, still.close, still.close, still.close, still.close, 100.0)
    return BarSeries.from_bars(rows)


@pytest.mark.parametrize("name", sorted(functions()))
def test_every_function_equals_the_stream(name: str) -> None:
    plan = Plan([Indicator(name="x", function=name)])
    bars = with_flat_stretches(random_bars(sum(map(ord, name)), 150))
    np.testing.assert_array_equal(series_values(plan, bars), streamed(plan, bars))


@pytest.mark.parametrize("symbol", PACKAGED_SYMBOLS)
def test_default_indicators_equal_the_stream_over_the_whole_past(symbol: str) -> None:
    plan, bars = Plan(DEFAULT_INDICATORS), packaged_bars(symbol)
    found = series_values(plan, bars)
    np.testing.assert_array_equal(found, streamed(plan, bars))
    assert np.isfinite(found[:, -1]).all()


@pytest.mark.parametrize("count", [0, 1, 14, 15])
def test_short_series_have_no_values(count: int) -> None:
    plan = Plan([Indicator(name="rsi", function="RSI"), Indicator(name="ich", function="ICHIMOKU")])
    bars = packaged_bars("IBM")[:count]
    found = series_values(plan, bars)
    assert found.shape == (5, count)
    np.testing.assert_array_equal(found, streamed(plan, bars).reshape(5, count))


def test_many_series_have_the_values_of_each_by_itself() -> None:
    plan = Plan([*DEFAULT_INDICATORS, Indicator(name="rvol", function="RVOL")])
    first = packaged_bars("IBM")[:300]
    flat = [Bar(int(first.sessions[-1]) + day, *(100.0,) * 5) for day in range(1, 60)]
    # The second goes on as flat as the first one ends, and the third has no values at all.
    series = [first.joined(BarSeries.from_bars(flat)), BarSeries.from_bars(flat), first[:3], first]
    found = many_series_values(plan, series)
    np.testing.assert_array_equal(found, np.hstack([series_values(plan, one) for one in series]))
    assert many_series_values(plan, []).shape == (8, 0)
