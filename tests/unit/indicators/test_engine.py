"""The streaming engine against batch functions: equal to the bit, at every bar and revision."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stockpipeline.api import BAR_FIELDS, DEFAULT_INDICATORS, Indicator
from stockpipeline.indicators.catalog import functions
from stockpipeline.indicators.engine import IndicatorEngine, Plan
from stockpipeline.market.bars import Bar, BarSeries
from stockpipeline.market.packaged import packaged_bars
from tests.unit.indicators import reference

WIDE = (
    Indicator(name="rsi", function="RSI"),
    Indicator(name="macd", function="MACD"),
    Indicator(name="bb", function="BBANDS"),
    Indicator(name="stoch", function="STOCH"),
    Indicator(name="atr", function="ATR"),
    Indicator(name="adx", function="ADX"),
    Indicator(name="ema", function="EMA", parameters={"timeperiod": 50}),
    Indicator(name="willr", function="WILLR"),
    Indicator(name="cmf", function="CMF"),
    Indicator(name="obv", function="OBV"),
    Indicator(name="vwma", function="VWMA"),
    Indicator(name="beta", function="BETA"),
    Indicator(name="doji", function="CDLDOJI"),
    Indicator(name="sar", function="SAR"),
    Indicator(name="percent_b", function="PERCENTB"),
    Indicator(name="bandwidth", function="BANDWIDTH"),
    Indicator(name="ichimoku", function="ICHIMOKU"),
    Indicator(name="fibonacci", function="FIBONACCI"),
    Indicator(name="vwap", function="SESSION_VWAP"),
)


def batch(plan: Plan, bars: BarSeries) -> list[float]:
    """Return the vector of the last bar, computed over all bars at once."""
    columns = [getattr(bars, field) for field in BAR_FIELDS]
    for computation in plan.computations:
        columns += reference.batch(computation.call, bars)
    return [float(column[-1]) for column in columns]


def revisions(bar: Bar) -> list[Bar]:
    """Return the bar as it forms: opened, fallen, risen, closed."""
    return [
        Bar(bar.session, bar.open, bar.open, bar.open, bar.open, bar.volume // 4),
        Bar(bar.session, bar.open, bar.open, bar.low, bar.low, bar.volume // 2),
        Bar(bar.session, bar.open, bar.high, bar.low, (bar.high + bar.low) / 2, bar.volume // 2 + 1),
        bar,
    ]


def fields(bar: Bar) -> tuple[float, float, float, float, float]:
    return bar.open, bar.high, bar.low, bar.close, bar.volume


@pytest.mark.parametrize("symbol", ["AAPL", "GOOG"])
def test_stream_equals_batch_at_every_bar_and_revision(symbol: str) -> None:
    plan = Plan(WIDE)
    bars = packaged_bars(symbol)[:190]
    engine = IndicatorEngine(plan, bars[:150])
    for end in range(150, len(bars)):
        for bar in revisions(bars.bar(end)):
            expected = batch(plan, BarSeries.from_bars([*bars[:end], bar]))
            engine.form(bar.session)
            assert list(engine.peek(*fields(bar))) == expected
        engine.commit(bars.bar(end))
        assert list(engine.past[0]) == expected


def random_bars(seed: int, count: int = 300) -> BarSeries:
    """Return a random walk with gaps, in the sizes of a penny stock or of an index."""
    random = np.random.default_rng(seed)
    close = 10.0 ** random.uniform(-1, 4) * np.exp(np.cumsum(random.normal(0, 0.03, count)))
    opens = close * np.exp(random.normal(0, 0.01, count))
    high = np.maximum(opens, close) * np.exp(np.abs(random.normal(0, 0.01, count)))
    low = np.minimum(opens, close) * np.exp(-np.abs(random.normal(0, 0.01, count)))
    volume = np.round(random.lognormal(10, 2, count))
    return BarSeries(np.arange(count, dtype=np.int32), opens, high, low, close, volume)


@pytest.mark.parametrize("name", sorted(functions()))
def test_every_function_of_the_catalogue_streams(name: str) -> None:
    plan = Plan([Indicator(name="x", function=name)])
    for bars in (packaged_bars("MSFT")[100:400], random_bars(sum(map(ord, name)))):
        engine = IndicatorEngine(plan, bars[:-4])
        for last in bars.last(4):
            for bar in revisions(last):
                expected = batch(plan, BarSeries.from_bars([*bars[: engine.bars], bar]))
                engine.form(bar.session)
                np.testing.assert_array_equal(engine.peek(*fields(bar)), expected)
            engine.commit(last)
            np.testing.assert_array_equal(engine.past[0], expected)


def test_a_thousand_revisions_leave_no_trace() -> None:
    plan, bars = Plan(WIDE), packaged_bars("IBM")[:200]
    touched, fresh = IndicatorEngine(plan, bars[:199], keep=3), IndicatorEngine(plan, bars[:199], keep=3)
    random = np.random.default_rng(5)
    for _ in range(1000):
        low, a, b, high = np.sort(random.uniform(1, 500, 4)).tolist()
        touched.peek(a, high, low, b, float(random.integers(1, 10**9)))
    last = bars.bar(-1)
    touched.form(last.session)
    fresh.form(last.session)
    assert touched.peek(*fields(last)) == fresh.peek(*fields(last))
    touched.commit(last)
    fresh.commit(last)
    assert touched.past == fresh.past


@settings(max_examples=25)
@given(st.integers(0, 160), st.integers(0, 5))
def test_where_history_ends_and_ticks_begin_makes_no_difference(split: int, keep: int) -> None:
    plan, bars = Plan(DEFAULT_INDICATORS), packaged_bars("AAPL")[:160]
    whole, streamed = IndicatorEngine(plan, bars, keep), IndicatorEngine(plan, bars[:split], keep)
    for bar in bars[split:]:
        streamed.commit(bar)
    bar = packaged_bars("AAPL").bar(160)
    assert streamed.past == whole.past
    assert streamed.peek(*fields(bar)) == whole.peek(*fields(bar))
    assert streamed.confidences == whole.confidences


def test_values_are_unknown_until_there_is_history() -> None:
    plan, bars = Plan(DEFAULT_INDICATORS), packaged_bars("AAPL")
    engine = IndicatorEngine(plan, BarSeries.empty())
    known_from = {}
    for bar in bars[:40]:
        vector = engine.peek(*fields(bar))
        for name, slot in plan.slots.items():
            if not math.isnan(vector[slot]):
                known_from.setdefault(name, engine.bars)
        engine.commit(bar)
    assert known_from == {
        **dict.fromkeys(BAR_FIELDS, 0),
        "rsi14": 15,
        **dict.fromkeys(("macd", "macd_signal", "macd_hist"), 34),
        **dict.fromkeys(("bb_upper", "bb_middle", "bb_lower"), 20),
    }


def flat(session: int, price: float = 50.0) -> Bar:
    return Bar(session, price, price, price, price, 100.0)


@pytest.mark.parametrize(
    "function", ["RSI", "STOCH", "CCI", "BBANDS", "MACD", "WILLR", "ADX", "CMO", "MFI", "MOM"]
)
def test_a_flat_series_gives_no_values(function: str) -> None:
    plan = Plan([Indicator(name="x", function=function)])
    engine = IndicatorEngine(plan, BarSeries.from_bars([flat(day) for day in range(300)]))
    assert all(math.isnan(value) for value in engine.peek(*fields(flat(300)))[5:])
    assert all(math.isnan(value) for value in engine.past[0][5:])
    assert not any(math.isnan(value) for value in engine.peek(50.0, 52.0, 49.0, 51.0, 100.0)[5:])


def test_a_series_that_goes_flat_loses_its_values_and_regains_them() -> None:
    plan, bars = Plan([Indicator(name="x", function="RSI")]), packaged_bars("IBM")[:200]
    engine = IndicatorEngine(plan, bars)
    last = bars.bar(-1)
    known = []
    for day in range(1, 20):
        bar = flat(last.session + day, last.close)
        known.append(not math.isnan(engine.peek(*fields(bar))[5]))
        engine.commit(bar)
    # 15 equal closes are a window of RSI(14): the last one of the history and 14 more.
    assert known == [True] * 13 + [False] * 6
    assert not math.isnan(engine.peek(*fields(flat(last.session + 30, last.close + 1)))[5])


def test_volume_does_not_count_as_movement() -> None:
    plan = Plan([Indicator(name="x", function="MFI")])
    bars = [Bar(day, 50.0, 50.0, 50.0, 50.0, 100.0 + day) for day in range(50)]
    assert math.isnan(IndicatorEngine(plan, BarSeries.from_bars(bars)).peek(50.0, 50.0, 50.0, 50.0, 7.0)[5])


def test_past_vectors_are_newest_first() -> None:
    bars = packaged_bars("IBM")[:100]
    engine = IndicatorEngine(Plan(DEFAULT_INDICATORS), bars, keep=3)
    assert [vector[3] for vector in engine.past] == [bars.bar(index).close for index in (-1, -2, -3)]
    engine.commit(packaged_bars("IBM").bar(100))
    assert [vector[3] for vector in engine.past[1:]] == [bars.bar(index).close for index in (-1, -2)]
