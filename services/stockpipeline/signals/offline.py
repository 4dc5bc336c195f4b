"""Signals without servers: the detector's core over any ticks, for ``stockpipeline replay`` and for tests."""

from collections.abc import Iterable, Iterator, Mapping

from stockpipeline.market.bars import BarSeries
from stockpipeline.market.ticks import Tick
from stockpipeline.signals.detector import Detector
from stockpipeline.signals.signal import Signal


def detect(detector: Detector, histories: Mapping[str, BarSeries], ticks: Iterable[Tick]) -> Iterator[Signal]:
    """Warm the detector up with each symbol's history and yield the signals of the ticks, in their order."""
    for symbol, history in histories.items():
        detector.warm_up(symbol, history)
    for tick in ticks:
        yield from detector.on_tick(tick).signals
