"""Splits and dividends: what they make of prices before them, so that a series has no gaps of their making.

Prices of bars before the day on which an action counts (the ex-date) are multiplied by its *factor*:

    factor = (1 - dividend / close of the last bar before) / split

``split`` is new shares per old one (2 for 2:1, 0.1 for a reverse split of 1:10), ``dividend`` is cash per
share in the prices of the day before. Volumes are divided by ``split``'s part alone: a dividend makes no
shares. This is how CRSP and Yahoo adjust ("Adj Close").
"""

from collections.abc import Iterable
from math import isfinite
from typing import NamedTuple

import numpy as np

from stockpipeline.market.bars import BarSeries
from stockpipeline.market.sessions import session_date, session_iso


class ImpossibleAction(ValueError):
    """A split or dividend that cannot be: not positive, not finite, or more than the share was worth."""


class CorporateAction(NamedTuple):
    """What happened to a share before ``session`` opened; raises nothing, see ``price_factor``."""

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


def adjusted(series: BarSeries, actions: Iterable[CorporateAction]) -> BarSeries:
    """Return the series with all bars in the terms of the newest one; raise ``ImpossibleAction``.

    Actions without a bar before them have nothing to adjust.
    """
    price, volume = np.ones(len(series)), np.ones(len(series))
    for action in actions:
        count = len(series.before(session_date(action.session)))
        if count:
            price[:count] *= action.price_factor(float(series.close[count - 1]))
            volume[:count] *= action.split
    return BarSeries(
        series.sessions,
        series.open * price,
        series.high * price,
        series.low * price,
        series.close * price,
        series.volume * volume,
    )
