"""Real daily bars that ship with a Python package: AAPL, FB, GOOG, IBM and MSFT, March 2000 to March 2013.

Source: Quandl WIKI Prices, in the public domain, packaged in ``bokeh_sampledata.stocks``. Its open, high,
low and close are as traded; ``adj_close`` is adjusted for splits and dividends. All four prices of a bar are
scaled by that bar's adj_close / close: a 2:1 split would otherwise look like a crash of 50 % and fire every
oversold rule, while scaling the close alone would put it outside of its bar's high and low. Volume is divided
by the same factor, which keeps the traded value (price x volume) of each bar as it was.
"""

from datetime import date

import numpy as np
from numpy.typing import NDArray

from stockpipeline.market.bars import BarSeries
from stockpipeline.market.sessions import session_from_date

PACKAGED_SYMBOLS = ("AAPL", "FB", "GOOG", "IBM", "MSFT")

PRICE_DECIMALS = 4
"""Adjusted prices are rounded to a hundredth of a cent, adjusted volumes to whole shares."""


class UnknownPackagedSymbol(ValueError):
    """There are no packaged bars of this symbol."""


def packaged_bars(symbol: str) -> BarSeries:
    """Return all packaged bars of the symbol, adjusted; raise ``UnknownPackagedSymbol`` for other symbols."""
    if symbol not in PACKAGED_SYMBOLS:
        raise UnknownPackagedSymbol(
            f"there are no packaged daily bars of {symbol!r}; there are of {', '.join(PACKAGED_SYMBOLS)}"
        )
    # Imported here: it reads all five symbols from a compressed file on import.
    from bokeh_sampledata import stocks

    rows = getattr(stocks, symbol)
    sessions = np.array([session_from_date(date.fromisoformat(day)) for day in rows["date"]], dtype=np.int32)
    factor = np.array(rows["adj_close"]) / np.array(rows["close"])

    def adjusted(name: str) -> NDArray[np.float64]:
        prices: NDArray[np.float64] = np.round(np.array(rows[name]) * factor, PRICE_DECIMALS)
        return prices

    return BarSeries(
        sessions,
        open=adjusted("open"),
        high=adjusted("high"),
        low=adjusted("low"),
        close=adjusted("close"),
        volume=np.round(np.array(rows["volume"]) / factor),
    )
