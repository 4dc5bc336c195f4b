from datetime import date

import numpy as np
import pytest

from stockpipeline.market.calendar import SessionCalendar
from stockpipeline.market.packaged import PACKAGED_SYMBOLS, UnknownPackagedSymbol, packaged_bars
from stockpipeline.market.sessions import session_date, session_from_date


@pytest.mark.parametrize("symbol", PACKAGED_SYMBOLS)
def test_bars_are_those_of_the_exchange_s_sessions(symbol: str, calendar: SessionCalendar) -> None:
    sessions = packaged_bars(symbol).sessions.tolist()
    assert sessions == calendar.sessions_between(session_date(sessions[0]), session_date(sessions[-1]))


@pytest.mark.parametrize(("symbol", "split"), [("AAPL", date(2005, 2, 28)), ("MSFT", date(2003, 2, 18))])
def test_a_split_is_no_crash(symbol: str, split: date) -> None:
    from bokeh_sampledata import stocks

    raw = getattr(stocks, symbol)
    at = raw["date"].index(split.isoformat())
    assert raw["close"][at] / raw["close"][at - 1] < 0.55
    bars = packaged_bars(symbol)
    at = int(np.searchsorted(bars.sessions, session_from_date(split)))
    assert 0.9 < bars.close[at] / bars.close[at - 1] < 1.1
    assert 0.9 < bars.open[at] / bars.close[at - 1] < 1.1


def test_the_traded_value_is_kept() -> None:
    from bokeh_sampledata import stocks

    bars = packaged_bars("AAPL")
    traded = np.array(stocks.AAPL["close"]) * np.array(stocks.AAPL["volume"])
    np.testing.assert_allclose(bars.close * bars.volume, traded, rtol=1e-4)


def test_the_close_is_the_adjusted_close() -> None:
    from bokeh_sampledata import stocks

    np.testing.assert_allclose(packaged_bars("IBM").close, stocks.IBM["adj_close"], atol=5e-5)


def test_other_symbols_are_named_with_what_there_is() -> None:
    with pytest.raises(UnknownPackagedSymbol, match=r"'TSLA'; there are of AAPL, FB, GOOG, IBM, MSFT"):
        packaged_bars("TSLA")
