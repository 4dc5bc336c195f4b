"""Yahoo's daily charts as they were traded, with splits and dividends in the product's terms."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from stockpipeline.batch.yahoo_chart import NoChart, NotListed, read_daily_chart
from stockpipeline.market.bars import BarSeries
from stockpipeline.market.corporate_actions import CorporateAction, adjusted

OPENS = 14 * 3600 + 1800
OFFSET = -5 * 3600


def chart(closes: list[float | None], **events: dict[str, Any]) -> dict[str, Any]:
    """A chart of days 100, 101, …, whose bars stand still at their closes."""
    times = [(100 + day) * 86_400 + OPENS for day in range(len(closes))]
    quote = dict.fromkeys(("open", "high", "low", "close"), closes) | {"volume": [1000] * len(closes)}
    result = {
        "meta": {"symbol": "ACME", "gmtoffset": OFFSET},
        "timestamp": times,
        "events": events,
        "indicators": {"quote": [quote], "adjclose": [{"adjclose": closes}]},
    }
    return {"chart": {"result": [result], "error": None}}


def split(day: int, numerator: float, denominator: float = 1.0) -> dict[str, Any]:
    time = day * 86_400 + OPENS
    return {str(time): {"date": time, "numerator": numerator, "denominator": denominator}}


def dividend(day: int, amount: float) -> dict[str, Any]:
    time = day * 86_400 + OPENS
    return {str(time): {"date": time, "amount": amount}}


def test_prices_before_splits_are_as_they_were_traded() -> None:
    """Traded at 80, 40 after 2:1, 20 after another 2:1: Yahoo gives 20 throughout."""
    found = read_daily_chart(
        chart([20.0, 20.0, 20.0, None], splits=split(101, 2.0) | split(102, 4.0, 2.0)), "ACME"
    )
    assert found.raw.sessions.tolist() == [100, 101, 102, 103]
    close, volume = found.raw.columns[3], found.raw.columns[4]
    assert close[:3].tolist() == [80.0, 40.0, 20.0]
    assert math.isnan(close[3])
    assert volume[:3].tolist() == [250.0, 500.0, 1000.0]
    assert found.actions == [CorporateAction(101, split=2.0), CorporateAction(102, split=2.0)]


def test_adjusting_what_was_read_gives_yahoos_prices_again() -> None:
    closes = [10.0, 10.4, 9.8, 10.1, 10.2]
    read = read_daily_chart(chart(closes, splits=split(102, 3.0), dividends=dividend(102, 0.2)), "ACME")
    series = BarSeries(read.raw.sessions, *read.raw.columns)
    again = adjusted(series, read.actions)
    factor = 1 - 0.2 / 10.4  # the dividend in the terms that Yahoo gives it in
    np.testing.assert_allclose(again.close, [10.0 * factor, 10.4 * factor, 9.8, 10.1, 10.2], rtol=1e-6)
    np.testing.assert_allclose(again.volume, 1000, rtol=2e-3)  # whole shares


def test_dividends_of_one_day_add_up_in_the_prices_of_the_day_before() -> None:
    special = {"special": {"date": 101 * 86_400 + OPENS, "amount": 0.3}}
    events = {"dividends": dividend(101, 0.2) | special, "splits": split(102, 2.0)}
    found = read_daily_chart(chart([5.0, 5.0, 5.0], **events), "ACME")
    assert found.actions == [CorporateAction(101, dividend=1.0), CorporateAction(102, split=2.0)]


def test_a_chart_without_days_has_no_rows() -> None:
    document = chart([])
    del document["chart"]["result"][0]["timestamp"]
    document["chart"]["result"][0]["indicators"] = {"quote": [{}]}
    found = read_daily_chart(document, "ACME")
    assert len(found.raw.sessions) == 0
    assert found.actions == []


def test_yahoos_error_is_told() -> None:
    error = {"code": "Not Found", "description": "No data found, symbol may be delisted"}
    with pytest.raises(NotListed, match="Not Found: No data found"):
        read_daily_chart({"chart": {"result": None, "error": error}}, "ACME")


@pytest.mark.parametrize(
    "document",
    [
        None,
        [],
        {},
        {"chart": None},
        {"chart": {"result": [], "error": None}},
        {"chart": {"result": [{"meta": {}}], "error": None}},
        {"chart": {"result": [{"meta": {"symbol": "ACME"}, "timestamp": [1], "indicators": {}}]}},
        chart([1.0], splits=split(101, 1.0, 0.0)),
        chart(["x"]),  # type: ignore[list-item]
    ],
)
def test_what_is_no_chart_is_refused(document: Any) -> None:
    with pytest.raises(NoChart, match="the answer is no chart"):
        read_daily_chart(document, "ACME")


def test_a_chart_of_another_symbol_is_refused() -> None:
    with pytest.raises(NoChart, match="asked for EMCA, got ACME"):
        read_daily_chart(chart([1.0]), "EMCA")
