"""Indicators that can be computed: a catalogue entry together with the streaming handle for it."""

from collections.abc import Mapping
from typing import Protocol

from talib import abstract

from stockpipeline.indicators.catalog import Call, Number, find_function
from stockpipeline.indicators.convergence import CONVERGED, SeedWeight, cascades
from stockpipeline.indicators.own import SessionStart, open_own, own_lookback
from stockpipeline.indicators.own_catalog import OWN_CATALOG
from stockpipeline.indicators.streams import open_stream
from stockpipeline.market.bars import BarSeries

_FEWEST_FLAT_BARS = 3


Values = float | tuple[float, ...]
"""The outputs of a function: a number, or a tuple of them for several outputs."""


class Handle(Protocol):
    """A streaming handle: the state of a function after the last closed bar."""

    def update(self, *bar: float) -> Values:
        """Take a closed bar (the function's inputs in order) and return its values."""

    def peek(self, *bar: float) -> Values:
        """Return what ``update`` would, and change nothing."""

    @property
    def value(self) -> Values:
        """The values at the last closed bar."""


def daily(bar: int) -> int:
    """Return the first bar of a daily bar's session, which is the bar itself."""
    return bar


class Computation:
    """A call of a function that can be opened on history, and what is known about its warm-up."""

    def __init__(self, call: Call, session_start: SessionStart = daily) -> None:
        parameters = dict(call.parameters)
        self.call = call
        self.session_start = session_start
        self._is_own = call.function.name in OWN_CATALOG
        self.lookback = _lookback(call)
        """Bars before the first value."""
        self._seeds = SeedWeight(cascades(call.function.name, parameters))
        self.minimum_bars = self.lookback + 1 + self._seeds.bars_until(CONVERGED)
        """Closed bars from which the computation counts as converged."""
        self.flat_bars = _flat_bars(call, self.lookback)
        """How many bars of unchanged inputs (the forming one included) make the values meaningless."""

    def confidence(self, bars: int) -> float:
        """Return how converged the values are after ``bars`` closed bars, in [0, 1] (see ``convergence``)."""
        return self._seeds.confidence(bars - self.lookback - 1) if bars > self.lookback else 0.0

    def open(self, history: BarSeries) -> Handle | None:
        """Return a handle at the last bar of the history, None where that is too short for a first value."""
        if self._is_own:
            return open_own(self.call, history, self.session_start)
        return open_stream(self.call, history)


def _flat_bars(call: Call, lookback: int) -> int | None:
    """Return the shortest period among the parameters; None for functions of one or two bars.

    Over a flat window, ratios such as RSI are 0 / 0, for which TA-Lib answers 0: deeply oversold.
    """
    if lookback < _FEWEST_FLAT_BARS - 1:
        return None
    periods = [int(value) for name, value in call.parameters if "period" in name]
    return max(_FEWEST_FLAT_BARS, min(periods, default=lookback) + 1)


def _lookback(call: Call) -> int:
    name, parameters = call.function.name, dict(call.parameters)
    if name in OWN_CATALOG:
        return own_lookback(name, parameters, _lookback)
    found: int = abstract.Function(name, **parameters).lookback  # type: ignore[attr-defined]
    return found


def resolve(function: str, parameters: Mapping[str, Number]) -> Computation:
    """Return the computation of a function, with its defaults for the parameters that are left out.

    Raises ``UnknownIndicator`` or ``BadParameter`` (see ``catalog``).
    """
    entry = find_function(function)
    return Computation(Call(entry, tuple(entry.complete(parameters).items())))
