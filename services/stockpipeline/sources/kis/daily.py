"""KIS's answer to `dailyprice` (HHDFS76240000): daily bars, newest first, some hundred a page. Pure."""

from datetime import date
from typing import Any

from stockpipeline.market.bars import Bar
from stockpipeline.market.sessions import session_from_date
from stockpipeline.market.ticks import MalformedReason, MalformedTick
from stockpipeline.sources.kis.frames import is_number

PATH, TRANSACTION = "/uapi/overseas-price/v1/quotations/dailyprice", "HHDFS76240000"


def read_daily(answer: dict[str, Any], symbol: str) -> list[Bar]:
    """Return the bars of a page, newest first; days without a trade are left out.

    Raises:
        MalformedTick: a row is no bar.
    """
    rows = answer.get("output2")
    if not isinstance(rows, list):
        raise MalformedTick(MalformedReason.BAD_FIELDS, f"{symbol}: the answer has no output2")
    return [bar for row in rows if isinstance(row, dict) and row.get("xymd") and (bar := _bar(row, symbol))]


def _bar(row: dict[str, Any], symbol: str) -> Bar | None:
    texts = [row.get(name) for name in ("open", "high", "low", "clos", "tvol")]
    if not all(isinstance(text, str) and is_number(text) for text in texts):
        raise MalformedTick(MalformedReason.BAD_PRICE, f"{symbol}: {row.get('xymd')}: {texts} is no bar")
    day = str(row["xymd"])
    try:
        session = session_from_date(date(int(day[:4]), int(day[4:6]), int(day[6:])))
    except ValueError:
        raise MalformedTick(MalformedReason.BAD_TIME, f"{symbol}: {day[:16]!r} is no date") from None
    opened, high, low, close, volume = (float(str(text)) for text in texts)
    if not 0.0 < low <= min(opened, close) <= max(opened, close) <= high:
        return None
    return Bar(session, opened, high, low, close, volume)
