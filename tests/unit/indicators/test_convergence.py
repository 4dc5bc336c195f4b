"""Holds the formula of the seed's weight to what TA-Lib really does on real bars."""

import numpy as np
import pytest
from numpy.typing import NDArray

from stockpipeline.indicators.catalog import functions
from stockpipeline.indicators.convergence import CONVERGED, SeedWeight, cascades
from stockpipeline.indicators.registry import Computation, resolve
from stockpipeline.market.bars import BarSeries
from stockpipeline.market.packaged import packaged_bars
from tests.unit.indicators import reference

CUMULATIVE = {"AD", "CUMSUM", "NVI", "OBV", "PVI", "PVT", "VWAP", "WAD"}
LONG = 1200


def batch(computation: Computation, bars: BarSeries) -> NDArray[np.float64]:
    """Return (outputs, bars) of the function over all bars at once."""
    return np.array(reference.batch(computation.call, bars), dtype=np.float64)


def errors(computation: Computation, bars: BarSeries) -> list[float]:
    """Return how far values on the fewest allowed bars are off, in standard deviations of the value."""
    found = []
    for end in range(LONG, len(bars), 171):
        long = batch(computation, bars[end - LONG : end])
        short = batch(computation, bars[end - computation.minimum_bars : end])
        spread = np.std(long[:, -400:], axis=1) + 1e-12
        if not np.isnan(long[:, -1]).any():
            found.append(float(np.max(np.abs(long[:, -1] - short[:, -1]) / spread)))
    return found


@pytest.mark.parametrize("name", sorted(set(functions()) - CUMULATIVE))
def test_a_converged_value_is_that_of_a_long_history(name: str) -> None:
    computation = resolve(name, {})
    bound = 0.1 if cascades(name, dict(computation.call.parameters)) else 1e-6
    found = errors(computation, packaged_bars("IBM"))
    assert all(error <= bound for error in found), found


@pytest.mark.parametrize("name", sorted(CUMULATIVE))
def test_cumulative_functions_depend_on_where_history_begins(name: str) -> None:
    assert max(errors(resolve(name, {}), packaged_bars("IBM"))) > 1.0
    assert resolve(name, {}).confidence(1) == 1.0


@pytest.mark.parametrize(
    ("name", "parameters", "bars"),
    [
        ("RSI", {}, 78),
        ("MACD", {}, 99),
        ("BBANDS", {}, 20),
        ("BBANDS", {"matype": 1}, 67),
        ("EMA", {"timeperiod": 200}, 661),
        ("SMA", {"timeperiod": 200}, 200),
        ("STOCH", {}, 9),
        ("ATR", {}, 78),
        ("OBV", {}, 1),
    ],
)
def test_bars_to_converge(name: str, parameters: dict[str, float], bars: int) -> None:
    computation = resolve(name, parameters)
    assert computation.minimum_bars == bars
    assert computation.confidence(bars) >= CONVERGED
    assert computation.confidence(bars - 1) < CONVERGED


def test_the_weight_of_one_stage_is_a_power() -> None:
    seeds = SeedWeight(((0.25,),))
    assert [seeds.confidence(bars) for bars in (0, 1, 2, 10)] == pytest.approx(
        [1 - 0.75**bars for bars in (0, 1, 2, 10)]
    )


def test_confidence_only_grows_up_to_one() -> None:
    seeds = SeedWeight(((0.1, 0.3), (0.2,)))
    values = [seeds.confidence(bars) for bars in range(600)]
    assert values == sorted(values)
    assert values[0] == 0.0
    assert values[-1] == 1.0


def test_a_cascade_converges_later_than_its_slowest_stage() -> None:
    assert SeedWeight(((0.1, 0.2),)).bars_until(0.99) > SeedWeight(((0.1,),)).bars_until(0.99)
