"""What Yahoo sends, read into quotes and ticks."""

from __future__ import annotations

from contextlib import suppress
from datetime import date
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stockpipeline.market.bars import Bar
from stockpipeline.market.sessions import session_from_date
from stockpipeline.market.ticks import MalformedReason, MalformedTick, MarketSession
from stockpipeline.sources.yahoo.quotes import (
    LastQuotes,
    NoData,
    Quote,
    read_chart,
    read_daily,
    read_pricing,
    yahoo_symbol,
)

JSON: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(
        st.sampled_from(["chart", "result", "error", "meta", "id", "price", "time"]), inner
    ),
)  # fmt: skip
META = {
    "symbol": "AAPL",
    "regularMarketPrice": 10.5,
    "regularMarketTime": 1735311600,
    "regularMarketVolume": 100,
}


def chart(**meta: Any) -> dict[str, Any]:
    return {"chart": {"result": [{"meta": {**META, **meta}}], "error": None}}


def test_a_message_of_the_stream_has_numbers_as_text() -> None:
    message = {"id": "AAPL", "price": 187.44, "time": "1735311600123", "day_volume": "100", "bid": 187.43}
    assert read_pricing(message) == ("AAPL", Quote(187.44, 1735311600123, 100.0, 187.43, None))


def test_a_chart_has_the_last_trade() -> None:
    assert read_chart(chart(), "AAPL") == Quote(10.5, 1735311600000, 100.0)


@pytest.mark.parametrize(
    ("document", "error"),
    [
        ({"chart": {"result": None, "error": {"code": "Not Found", "description": "delisted"}}}, NoData),
        ({"chart": {"result": [], "error": None}}, NoData),
        ({"finance": {}}, MalformedTick),
        (chart(symbol="MSFT"), MalformedTick),
        (chart(regularMarketPrice=0), MalformedTick),
        (chart(regularMarketPrice=True), MalformedTick),
        (chart(regularMarketTime=None), MalformedTick),
        (chart(regularMarketVolume=-1), MalformedTick),
    ],
)
def test_what_is_no_quote(document: object, error: type[Exception]) -> None:
    with pytest.raises(error):
        read_chart(document, "AAPL")


@given(JSON)
def test_any_document_is_survived(document: Any) -> None:
    with suppress(MalformedTick, NoData):
        read_chart(document, "AAPL")
    # A message of the stream always is an object: it comes out of a decoder.
    with suppress(MalformedTick):
        read_pricing(document if isinstance(document, dict) else {})


def test_each_trade_once_whoever_brings_it() -> None:
    last = LastQuotes("yahoo", lambda _ts: MarketSession.REGULAR)
    first = last.tick("AAPL", Quote(10, 1000, 100))
    assert first is not None
    assert first.volume == 0, "how much of the day's volume it was is not known"
    assert last.tick("AAPL", Quote(10, 1000, 100)) is None
    assert last.tick("AAPL", Quote(9, 500, 90)) is None, "an older one"
    second = last.tick("AAPL", Quote(11, 2000, 130))
    assert second is not None
    assert (second.price, second.volume) == (11, 30)
    assert yahoo_symbol("BRK.B") == "BRK-B"


def test_reasons_name_what_is_wrong() -> None:
    with pytest.raises(MalformedTick) as error:
        read_pricing({"id": "AAPL", "price": "NaN", "time": "1"})
    assert error.value.reason is MalformedReason.BAD_PRICE


def test_daily_bars_are_adjusted_and_have_the_exchanges_date() -> None:
    document = chart(gmtoffset=-18000)
    quote = {"open": [10, None], "high": [12, 1], "low": [8, 1], "close": [10, 1], "volume": [100, 1]}
    indicators = {"quote": [quote], "adjclose": [{"adjclose": [5, 1]}]}
    # 2024-12-28T01:00Z is still the 27th in New York.
    document["chart"]["result"][0] |= {"timestamp": [1735347600, 1735347600], "indicators": indicators}
    assert read_daily(document, "AAPL") == [Bar(session_from_date(date(2024, 12, 27)), 5, 6, 4, 5, 100)]
    with pytest.raises(MalformedTick):
        read_daily(chart(), "AAPL")
