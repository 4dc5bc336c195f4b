"""A universe of symbols whose days are days of real stocks, in stretches that follow each other.

Every generated bar is a real one (of the packaged symbols), as ratios to the close before it; a symbol is
put together from stretches of 20 real days, so that calm and wild days come in rows, as they do.
"""

from __future__ import annotations

from datetime import date

import numpy as np
from numpy.typing import NDArray

from stockpipeline.batch.lake import PARTS, Lake, bars_table, part_of, write_part
from stockpipeline.market.bars import BarSeries
from stockpipeline.market.calendar import SessionCalendar
from stockpipeline.market.packaged import PACKAGED_SYMBOLS, packaged_bars

_STRETCH = 20


def make_universe(symbols: int, sessions: NDArray[np.int32], seed: int = 1) -> dict[str, BarSeries]:
    """The bars of so many symbols over these sessions."""
    random = np.random.default_rng(seed)
    shapes = _real_days()
    stretches = -(-len(sessions) // _STRETCH)
    days = np.arange(_STRETCH) + random.integers(0, shapes.shape[1] - _STRETCH, (symbols, stretches, 1))
    picked = shapes[:, days.reshape(symbols, -1)[:, : len(sessions)]]
    opens, highs, lows, closes, volumes = picked
    start = 10.0 ** random.uniform(0.3, 2.6, (symbols, 1))
    # Long walks of real days drift far; a pull to the start keeps prices those of stocks.
    log_close = np.cumsum(np.log(closes), axis=1)
    log_close -= np.linspace(0, 1, len(sessions)) * log_close[:, -1:] * 0.8
    close = start * np.exp(log_close)
    before = np.concatenate((start, close[:, :-1]), axis=1)
    close = np.round(close, 4)
    opened = np.round(before * opens, 4)
    high = np.round(np.maximum(np.maximum(opened, close), before * highs), 4)
    low = np.round(np.maximum(1e-4, np.minimum(np.minimum(opened, close), before * lows)), 4)
    volume = np.round(10.0 ** random.uniform(4, 7, (symbols, 1)) * volumes)
    return {
        f"S{number:04d}": BarSeries(
            sessions, opened[number], high[number], low[number], close[number], volume[number]
        )
        for number in range(symbols)
    }


def five_years(count: int = 1260) -> NDArray[np.int32]:
    """The newest sessions of NASDAQ before 2024."""
    found = SessionCalendar("XNAS").sessions_between(date(2018, 1, 2), date(2023, 12, 29))
    return np.array(found[-count:], dtype=np.int32)


def write_universe(lake: Lake, universe: dict[str, BarSeries]) -> None:
    """Write the bars as the batch keeps them."""
    parts: list[dict[str, BarSeries]] = [{} for _ in range(PARTS)]
    for symbol, series in universe.items():
        parts[part_of(symbol)][symbol] = series
    for number, part in enumerate(parts):
        write_part(lake.bars(number), bars_table(part))


def _real_days() -> NDArray[np.float64]:
    """Open, high, low and close over the close before, and volume over its mean; one column for each day."""
    found = []
    for symbol in PACKAGED_SYMBOLS:
        bars = packaged_bars(symbol)
        before = bars.close[:-1]
        prices = [getattr(bars, name)[1:] / before for name in ("open", "high", "low", "close")]
        found.append(np.array([*prices, bars.volume[1:] / bars.volume.mean()]))
    return np.concatenate(found, axis=1)
