"""What streaming values are held to: TA-Lib's batch functions, and plain formulas for what it lacks."""

from collections.abc import Callable, Mapping

import numpy as np
import talib
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from stockpipeline.indicators.catalog import Call
from stockpipeline.market.bars import BarSeries

Column = NDArray[np.float64]
Parameters = Mapping[str, int | float]


def batch(call: Call, bars: BarSeries) -> list[Column]:
    """Return the outputs of a call, one value a bar."""
    parameters = dict(call.parameters)
    if call.function.name in _OWN:
        with np.errstate(invalid="ignore"):
            return _OWN[call.function.name](bars, parameters)
    inputs = (getattr(bars, name) for name in call.function.inputs)
    outputs = getattr(talib, call.function.name)(*inputs, **parameters)
    return list(outputs) if isinstance(outputs, tuple) else [outputs]


def _percent_b(bars: BarSeries, parameters: Parameters) -> list[Column]:
    upper, _, lower = talib.BBANDS(bars.close, **parameters)
    return [(bars.close - lower) / (upper - lower)]


def _bandwidth(bars: BarSeries, parameters: Parameters) -> list[Column]:
    upper, middle, lower = talib.BBANDS(bars.close, **parameters)
    return [(upper - lower) / middle]


def _ichimoku(bars: BarSeries, parameters: Parameters) -> list[Column]:
    conversion, base, span = (
        sum(_range(bars, parameters[f"{part}period"])) / 2 for part in ("conversion", "base", "span")
    )
    shift = int(parameters["displacement"])
    columns = [conversion, base, _later((conversion + base) / 2, shift), _later(span, shift)]
    known = ~np.isnan(columns).any(axis=0)
    return [np.where(known, column, np.nan) for column in columns]


def _fibonacci(bars: BarSeries, parameters: Parameters) -> list[Column]:
    high, low = _range(bars, parameters["timeperiod"])
    return [high - ratio * (high - low) for ratio in (0.236, 0.382, 0.5, 0.618, 0.786)]


def _session_vwap(bars: BarSeries, parameters: Parameters) -> list[Column]:
    """Of daily bars: each is a session."""
    return [
        np.where(bars.volume > 0, (bars.high + bars.low + bars.close) / 3 * bars.volume / bars.volume, np.nan)
    ]


def _range(bars: BarSeries, period: float) -> tuple[Column, Column]:
    def windows(values: Column, best: Callable[..., Column]) -> Column:
        found = best(sliding_window_view(values, int(period)), axis=1)
        return np.concatenate((np.full(int(period) - 1, np.nan), found))

    return windows(bars.high, np.max), windows(bars.low, np.min)


def _later(values: Column, bars: int) -> Column:
    return np.concatenate((np.full(bars, np.nan), values[:-bars]))


_OWN = {
    "BANDWIDTH": _bandwidth,
    "FIBONACCI": _fibonacci,
    "ICHIMOKU": _ichimoku,
    "PERCENTB": _percent_b,
    "SESSION_VWAP": _session_vwap,
}
