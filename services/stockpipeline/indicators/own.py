"""The indicators that TA-Lib lacks, put together from those that it has.

    PERCENTB    (close - lower) / (upper - lower) of BBANDS: 0 at the lower band, 1 at the upper one
    BANDWIDTH   (upper - lower) / middle of BBANDS
    ICHIMOKU    conversion and base: middles of the range of their periods; span a: the middle of both, and
                span b: the middle of the range of its period, each as it was ``displacement`` bars before,
                which is where a chart shows it
    FIBONACCI   highest high of the window less 23.6, 38.2, 50, 61.8 and 78.6 % of its range
    SESSION_VWAP  sum of (high + low + close) / 3 * volume over the session's bars / sum of their volumes

Each is a handle like TA-Lib's streams. Where a value has no meaning (bands of no width, a session without
volume, one that began before the history) it is NaN.
"""

from collections import deque
from collections.abc import Callable
from math import nan

import numpy as np

from stockpipeline.indicators.catalog import Call, Number, find_function
from stockpipeline.indicators.own_catalog import RATIOS
from stockpipeline.indicators.streams import open_stream
from stockpipeline.market.bars import BarSeries
from stockpipeline_native import Stream

Values = float | tuple[float, ...]
SessionStart = Callable[[int], int]
"""A bar's number → that of the first bar of its session."""


class _Combined:
    """A formula over the values of one TA-Lib stream and the inputs of the bar."""

    def __init__(self, stream: Stream, formula: Callable[[tuple[float, ...], float], Values], close: float):
        self._stream = stream
        self._formula = formula
        self.value = formula(_values(stream.value), close)
        """The values at the last closed bar."""

    def update(self, *bar: float) -> Values:
        """Take a closed bar."""
        self.value = self._formula(_values(self._stream.update(*bar)), bar[-1])
        return self.value

    def peek(self, *bar: float) -> Values:
        """Return what ``update`` would, and change nothing."""
        return self._formula(_values(self._stream.peek(*bar)), bar[-1])


class _Ichimoku:
    """Begins with its streams ``displacement`` bars before the first one that it has values for."""

    def __init__(self, middles: tuple[Stream, Stream, Stream], displacement: int) -> None:
        self._middles = middles
        conversion, base, span = (_values(stream.value)[0] for stream in middles)
        self._spans: deque[tuple[float, float]] = deque(maxlen=displacement)
        """Both spans of the last closed bars, oldest first."""
        self._spans.append(((conversion + base) / 2.0, span))
        self.value: Values = (nan,) * 4

    def update(self, *bar: float) -> Values:
        """Take a closed bar."""
        conversion, base, span = (_values(stream.update(*bar))[0] for stream in self._middles)
        self.value = self._with_spans(conversion, base)
        self._spans.append(((conversion + base) / 2.0, span))
        return self.value

    def peek(self, *bar: float) -> Values:
        """Return what ``update`` would, and change nothing."""
        conversion, base = (_values(stream.peek(*bar))[0] for stream in self._middles[:2])
        return self._with_spans(conversion, base)

    def _with_spans(self, conversion: float, base: float) -> Values:
        if len(self._spans) < (self._spans.maxlen or 0):
            return (nan,) * 4
        return (conversion, base, *self._spans[0])


class SessionVwap:
    """The only handle for which it counts where a session begins."""

    def __init__(self, history: BarSeries, session_start: SessionStart) -> None:
        self._session = session_start(int(history.sessions[-1]))
        begin = int(np.searchsorted(history.sessions, self._session))
        self._is_whole = begin > 0 or int(history.sessions[0]) == self._session
        self._money = self._volume = 0.0
        self.value: Values = nan
        """The value at the last closed bar."""
        for bar in history[begin:]:
            self.update(bar.high, bar.low, bar.close, bar.volume)

    def begin(self, session: int) -> None:
        """Let the bars that come be of this session, of which there may have been some already."""
        if session != self._session:
            self._session, self._is_whole = session, True
            self._money = self._volume = 0.0

    def update(self, *bar: float) -> Values:
        """Take a closed bar."""
        self._money, self._volume = self._with(*bar)
        self.value = self._average(self._money, self._volume)
        return self.value

    def peek(self, *bar: float) -> Values:
        """Return what ``update`` would, and change nothing."""
        return self._average(*self._with(*bar))

    def _with(self, high: float, low: float, close: float, volume: float) -> tuple[float, float]:
        return self._money + (high + low + close) / 3.0 * volume, self._volume + volume

    def _average(self, money: float, volume: float) -> float:
        return money / volume if self._is_whole and volume > 0.0 else nan


OwnHandle = _Combined | _Ichimoku | SessionVwap


def open_own(call: Call, history: BarSeries, session_start: SessionStart) -> OwnHandle | None:
    """Return the handle of an own function at the last bar of the history, None where that is too short."""
    if call.function.name == "SESSION_VWAP":
        return SessionVwap(history, session_start)
    parameters = dict(call.parameters)
    if call.function.name == "ICHIMOKU":
        return _open_ichimoku(parameters, history)
    base, formula = _COMBINED[call.function.name]
    stream = open_stream(_call(base, **parameters), history)
    return None if stream is None else _Combined(stream, formula, float(history.close[-1]))


def own_lookback(name: str, parameters: dict[str, Number], lookback: Callable[[Call], int]) -> int:
    """Return the bars before the first value; ``lookback`` is TA-Lib's."""
    if name == "SESSION_VWAP":
        return 0
    if name == "ICHIMOKU":
        periods = (parameters[f"{part}period"] for part in ("conversion", "base", "span"))
        return int(max(periods)) - 1 + int(parameters["displacement"])
    return lookback(_call(_COMBINED[name][0], **parameters))


def _open_ichimoku(parameters: dict[str, Number], history: BarSeries) -> _Ichimoku | None:
    displacement = int(parameters["displacement"])
    head = history[: max(0, len(history) - displacement)]
    periods = [parameters[f"{part}period"] for part in ("conversion", "base", "span")]
    if len(head) < max(periods):
        return None
    first, second, third = (open_stream(_call("MIDPRICE", timeperiod=period), head) for period in periods)
    assert first is not None
    assert second is not None
    assert third is not None
    handle = _Ichimoku((first, second, third), displacement)
    for bar in history.last(displacement):
        handle.update(bar.high, bar.low)
    return handle


def _percent_b(bands: tuple[float, ...], close: float) -> float:
    upper, _, lower = bands
    return (close - lower) / (upper - lower) if upper > lower else nan


def _bandwidth(bands: tuple[float, ...], _: float) -> float:
    upper, middle, lower = bands
    return (upper - lower) / middle


def _levels(channel: tuple[float, ...], _: float) -> tuple[float, ...]:
    high, _middle, low = channel
    return tuple(high - ratio * (high - low) for ratio in RATIOS.values())


_COMBINED: dict[str, tuple[str, Callable[[tuple[float, ...], float], Values]]] = {
    "PERCENTB": ("BBANDS", _percent_b),
    "BANDWIDTH": ("BBANDS", _bandwidth),
    "FIBONACCI": ("DONCHIAN", _levels),
}


def _call(name: str, **parameters: Number) -> Call:
    function = find_function(name)
    return Call(function, tuple(function.complete(parameters).items()))


def _values(found: Values) -> tuple[float, ...]:
    return found if isinstance(found, tuple) else (found,)
