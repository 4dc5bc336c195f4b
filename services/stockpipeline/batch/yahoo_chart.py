"""Yahoo's daily charts, read into bars as they were traded, with the splits and dividends. Pure.

Yahoo gives prices and volumes in the terms of the newest share: split, but not for dividends. What was traded
is that times all later splits. A dividend is kept in the prices of the day before it, as
``market.corporate_actions`` has it.
"""

from collections.abc import Mapping, Sequence
from math import nan
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from stockpipeline.batch.quality import RawBars
from stockpipeline.market.corporate_actions import CorporateAction

_PRICE_DECIMALS = 6
"""Yahoo computes in 32 bits; below this, digits are noise."""
_DAY_SECONDS = 86_400


class NotListed(Exception):
    """Yahoo says that it has nothing of the symbol; the message is Yahoo's."""


class NoChart(Exception):
    """An answer that is no chart, or of another symbol; the message says what is wrong."""


class DailyChart(NamedTuple):
    """The rows of a chart as traded, whatever they are worth, and the actions among them."""

    raw: RawBars
    actions: list[CorporateAction]


def read_daily_chart(document: Any, name: str) -> DailyChart:
    """Return what an answer of ``/v8/finance/chart/NAME?interval=1d&events=div,splits`` has.

    Raises:
        NotListed: the answer is that there is no such symbol.
        NoChart: the answer is something else.
    """
    try:
        chart = document["chart"]
        if error := chart.get("error"):
            raise NotListed(f"{error.get('code')}: {error.get('description')}"[:200])
        result = chart["result"][0]
        meta = result["meta"]
        if meta["symbol"] != name:
            raise NoChart(f"asked for {name}, got {str(meta['symbol'])[:32]}")
        offset = int(meta.get("gmtoffset", 0))
        times = result.get("timestamp") or []
        quote = result["indicators"]["quote"][0] if times else {}
        columns = [
            _column(quote.get(field), len(times)) for field in ("open", "high", "low", "close", "volume")
        ]
        sessions = np.array([_session(time, offset) for time in times], dtype=np.int32)
        events = result.get("events") or {}
        splits = _splits(events.get("splits") or {}, offset)
        dividends = _dividends(events.get("dividends") or {}, offset)
    except (LookupError, TypeError, ValueError, AttributeError, ArithmeticError) as error:
        raise NoChart(f"{name}: the answer is no chart: {type(error).__name__}") from None
    later = np.array([_product(splits, session + 1) for session in sessions.tolist()])
    prices = [np.round(column * later, _PRICE_DECIMALS) for column in columns[:4]]
    volume = np.round(columns[4] / later)
    actions = [
        CorporateAction(
            session,
            splits.get(session, 1.0),
            round(dividends.get(session, 0.0) * _product(splits, session), _PRICE_DECIMALS),
        )
        for session in sorted(splits.keys() | dividends.keys())
    ]
    return DailyChart(RawBars(sessions, (*prices, volume)), actions)


def _column(values: Sequence[Any] | None, length: int) -> NDArray[np.float64]:
    found = [nan if value is None else float(value) for value in values or [None] * length]
    if len(found) != length:
        raise ValueError("columns of different lengths")
    return np.array(found, dtype=np.float64)


def _session(time: Any, offset_seconds: int) -> int:
    return (int(time) + offset_seconds) // _DAY_SECONDS


def _splits(events: Mapping[str, Any], offset: int) -> dict[int, float]:
    return {
        _session(event["date"], offset): float(event["numerator"]) / float(event["denominator"])
        for event in events.values()
    }


def _dividends(events: Mapping[str, Any], offset: int) -> dict[int, float]:
    found: dict[int, float] = {}
    for event in events.values():  # a regular and a special one may come on the same day
        session = _session(event["date"], offset)
        found[session] = found.get(session, 0.0) + float(event["amount"])
    return found


def _product(splits: Mapping[int, float], since: int) -> float:
    """Return all splits from a session on, multiplied."""
    product = 1.0
    for session in sorted(splits):
        if session >= since:
            product *= splits[session]
    return product
