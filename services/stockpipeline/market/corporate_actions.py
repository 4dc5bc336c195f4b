"""Splits and dividends: what they make of prices before them, so that a series has no gaps of their making.

Prices of bars before the day on which an action counts (the ex-date) are multiplied by its *factor*:

    factor = (1 - dividend / close of the last bar before) / split

``split`` is new shares per old one (2 for 2:1, 0.1 for a reverse split of 1:10), ``dividend`` is cash per
share in the prices of the day before. Volumes are divided by ``split``'s part alone: a dividend makes no
shares. This is how CRSP and Yahoo adjust ("Adj Close").
"""

from collections.abc import Iterable, Sequence
from math import isfinite
from typing import NamedTuple

import msgspec
import numpy as np

from stockpipeline.market.bars import Bar, BarSeries
from stockpipeline.market.sessions import session_iso


class ImpossibleAction(ValueError):
    """A split or dividend that cannot be: not positive, not finite, or more than the share was worth."""


class CorporateAction(NamedTuple):
    """What happened to a share before ``session`` opened."""

    session: int
    split: float = 1.0
    """New shares per old one."""
    dividend: float = 0.0
    """Cash per share, in the prices of the day before."""

    def price_factor(self, close_before: float) -> float:
        """Return what earlier prices are multiplied by; raise ``ImpossibleAction``."""
        if not (isfinite(self.split) and self.split > 0.0):
            raise ImpossibleAction(f"a split of {self.split} on {session_iso(self.session)} is impossible")
        if not 0.0 <= self.dividend < close_before:
            raise ImpossibleAction(
                f"a dividend of {self.dividend} on {session_iso(self.session)} is impossible: "
                f"the close before it was {close_before}"
            )
        return (1.0 - self.dividend / close_before) / self.split


class Rescaling(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """The factors for prices and volumes of all bars before the one with the number ``before``."""

    before: int
    price: float
    volume: float


def rescaling(action: CorporateAction, before: int, close_before: float) -> Rescaling:
    """Return what an action does to the bars before the first one at new terms; raise ``ImpossibleAction``.

    ``close_before`` is the close of the last of them, as it was traded.
    """
    return Rescaling(before, action.price_factor(close_before), action.split)


def rescale_bar(bar: Bar, rescalings: Iterable[Rescaling]) -> Bar:
    """Return a bar in the terms of the newest one."""
    price, volume = _factors(bar.session, rescalings)
    if price == volume == 1.0:
        return bar
    prices = (bar.open * price, bar.high * price, bar.low * price, bar.close * price)
    return Bar(bar.session, *prices, bar.volume * volume)


def rescale(bars: BarSeries, rescalings: Sequence[Rescaling]) -> BarSeries:
    """Return bars in the terms of the newest one, each with the same bits as ``rescale_bar`` gives."""
    if not any(len(bars) and change.before > bars.sessions[0] for change in rescalings):
        return bars
    price, volume = np.ones(len(bars)), np.ones(len(bars))
    for change in rescalings:
        count = int(np.searchsorted(bars.sessions, change.before))
        price[:count] *= change.price
        volume[:count] *= change.volume
    return BarSeries(
        bars.sessions,
        bars.open * price,
        bars.high * price,
        bars.low * price,
        bars.close * price,
        bars.volume * volume,
    )


def adjusted(series: BarSeries, actions: Iterable[CorporateAction]) -> BarSeries:
    """Return daily bars in the terms of the newest one; raise ``ImpossibleAction``.

    Actions without a bar before them have nothing to adjust.
    """
    counted = ((action, int(np.searchsorted(series.sessions, action.session))) for action in actions)
    return rescale(
        series,
        [
            rescaling(action, action.session, float(series.close[count - 1]))
            for action, count in counted
            if count
        ],
    )


def _factors(number: int, rescalings: Iterable[Rescaling]) -> tuple[float, float]:
    price = volume = 1.0
    for change in rescalings:
        if number < change.before:
            price *= change.price
            volume *= change.volume
    return price, volume
