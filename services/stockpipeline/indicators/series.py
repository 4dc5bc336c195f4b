"""The values of all indicators at every closed bar of a series at once: what the batch computes.

The same plan gives the stream its values (`engine`), and both are the same bits: NaN where there is too
little history or where a flat series makes the value meaningless. TA-Lib's batch functions are called once
for a whole series; what TA-Lib lacks (`own`) is put together from their columns here.
"""

from collections.abc import Callable, Mapping, Sequence

import numpy as np
import talib
from numpy.typing import NDArray

from stockpipeline.indicators.catalog import Number
from stockpipeline.indicators.engine import Plan
from stockpipeline.indicators.own import SessionStart
from stockpipeline.indicators.own_catalog import RATIOS
from stockpipeline.indicators.registry import Computation
from stockpipeline.market.bars import BarSeries

Column = NDArray[np.float64]
_Own = Callable[[BarSeries, Mapping[str, Number]], list[Column]]


def series_values(plan: Plan, bars: BarSeries) -> NDArray[np.float64]:
    """Return the indicators' values, one row for each output of the plan's calls, one column for each bar.

    Row `i` is position `len(BAR_FIELDS) + i` of a vector of the plan.
    """
    return many_series_values(plan, [bars])


def many_series_values(plan: Plan, series: Sequence[BarSeries]) -> NDArray[np.float64]:
    """Return the values of series after series, as `series_values` of each would, one beside the other."""
    rows = sum(len(computation.call.function.outputs) for computation in plan.computations)
    values = np.empty((rows, sum(map(len, series))))
    runs: dict[tuple[str, ...], NDArray[np.int64]] = {}
    row = 0
    for computation in plan.computations:
        outputs = len(computation.call.function.outputs)
        part = values[row : row + outputs]
        row += outputs
        start = 0
        for bars in series:
            _fill(part[:, start : start + len(bars)], computation, bars)
            start += len(bars)
        _mask_flat(part, computation, series, runs)
    return values


def _fill(part: NDArray[np.float64], computation: Computation, bars: BarSeries) -> None:
    if len(bars) <= computation.lookback:
        part[:] = np.nan
        return
    for place, column in zip(part, _columns(computation, bars), strict=True):
        place[:] = column
    part[:, : computation.lookback] = np.nan  # whole numbers, such as patterns, begin with zeros


def _columns(computation: Computation, bars: BarSeries) -> list[Column]:
    call = computation.call
    parameters = dict(call.parameters)
    name = call.function.name
    if name == "SESSION_VWAP":
        return [_session_vwap(bars, computation.session_start)]
    if name in _OWN:
        return _OWN[name](bars, parameters)
    inputs = (getattr(bars, field) for field in call.function.inputs)
    found = getattr(talib, name)(*inputs, **parameters)
    return list(found) if isinstance(found, tuple) else [found]


def _mask_flat(
    part: NDArray[np.float64],
    computation: Computation,
    series: Sequence[BarSeries],
    runs: dict[tuple[str, ...], NDArray[np.int64]],
) -> None:
    """Forget values at bars that end a window of unchanged inputs."""
    if computation.flat_bars is None:
        return
    inputs = computation.call.function.inputs
    # A series is flat when its prices are; volume counts only where nothing else is read.
    watched = tuple(name for name in inputs if name != "volume") or inputs
    if watched not in runs:
        runs[watched] = _unchanged_bars(series, watched)
    flat = runs[watched] >= computation.flat_bars
    if flat.any():
        part[:, flat] = np.nan


def _unchanged_bars(series: Sequence[BarSeries], inputs: tuple[str, ...]) -> NDArray[np.int64]:
    """Return for each bar how many bars of its series up to it, itself included, have the same inputs."""
    ends = np.cumsum([len(bars) for bars in series], dtype=np.int64)
    count = int(ends[-1]) if len(ends) else 0
    changed = np.zeros(count, dtype=bool)
    changed[[end for end in ends.tolist() if end < count]] = True  # another series begins
    for name in inputs:
        column = np.concatenate([getattr(bars, name) for bars in series]) if series else np.empty(0)
        changed[1:] |= column[1:] != column[:-1]
    positions = np.arange(count)
    begun: NDArray[np.int64] = np.maximum.accumulate(np.where(changed, positions, 0))
    return positions - begun + 1


def _bands(bars: BarSeries, parameters: Mapping[str, Number]) -> tuple[Column, Column, Column]:
    upper, middle, lower = talib.BBANDS(bars.close, **parameters)  # type: ignore[arg-type]
    return upper, middle, lower


def _percent_b(bars: BarSeries, parameters: Mapping[str, Number]) -> list[Column]:
    upper, _, lower = _bands(bars, parameters)
    with np.errstate(invalid="ignore", divide="ignore"):
        return [np.where(upper > lower, (bars.close - lower) / (upper - lower), np.nan)]


def _bandwidth(bars: BarSeries, parameters: Mapping[str, Number]) -> list[Column]:
    upper, middle, lower = _bands(bars, parameters)
    return [(upper - lower) / middle]


def _fibonacci(bars: BarSeries, parameters: Mapping[str, Number]) -> list[Column]:
    high, _, low = talib.DONCHIAN(bars.high, bars.low, timeperiod=int(parameters["timeperiod"]))
    return [high - ratio * (high - low) for ratio in RATIOS.values()]


def _ichimoku(bars: BarSeries, parameters: Mapping[str, Number]) -> list[Column]:
    conversion, base, span = (
        talib.MIDPRICE(bars.high, bars.low, timeperiod=int(parameters[f"{part}period"]))
        for part in ("conversion", "base", "span")
    )
    shift = int(parameters["displacement"])

    def displaced(column: Column) -> Column:
        return np.concatenate((np.full(shift, np.nan), column[: len(column) - shift]))

    columns = [conversion, base, displaced((conversion + base) / 2.0), displaced(span)]
    known = ~np.isnan(columns).any(axis=0)
    return [np.where(known, column, np.nan) for column in columns]


def _session_vwap(bars: BarSeries, session_start: SessionStart) -> Column:
    starts = np.array([session_start(bar) for bar in bars.sessions.tolist()], dtype=np.int64)
    begins = np.flatnonzero(np.diff(starts, prepend=-1)).tolist()
    money, volume = (bars.high + bars.low + bars.close) / 3.0 * bars.volume, bars.volume.copy()
    for begin, end in zip(begins, [*begins[1:], len(bars)], strict=True):
        np.cumsum(money[begin:end], out=money[begin:end])
        np.cumsum(volume[begin:end], out=volume[begin:end])
    known = volume > 0.0
    if starts[0] != bars.sessions[0]:
        known &= starts != starts[0]
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(known, money / volume, np.nan)


_OWN: dict[str, _Own] = {
    "BANDWIDTH": _bandwidth,
    "FIBONACCI": _fibonacci,
    "ICHIMOKU": _ichimoku,
    "PERCENTB": _percent_b,
}
