"""What Yahoo sends, read into ticks. Pure; formats: yfinance's `pricing.proto` and the chart API's JSON.

Both give the last trade with its time and the volume of the day so far; what was traded since the last one
that was seen is the difference.
"""

from collections.abc import Callable, Mapping
from math import isfinite
from typing import Any, NamedTuple

from stockpipeline.market.bars import Bar
from stockpipeline.market.ticks import (
    MAX_EVENT_TIME_MS,
    MAX_PRICE,
    MAX_VOLUME,
    MalformedReason,
    MalformedTick,
    MarketSession,
    Tick,
)


def yahoo_symbol(symbol: str) -> str:
    """Return the symbol as Yahoo writes it: BRK.B is BRK-B."""
    return symbol.replace(".", "-")


class Quote(NamedTuple):
    """The last trade that Yahoo knows of; ``day_volume`` is None where it does not say."""

    price: float
    ts: int
    day_volume: float | None
    bid: float | None = None
    ask: float | None = None


class NoData(Exception):
    """Yahoo has nothing of a symbol; the message is Yahoo's."""


def read_pricing(message: Mapping[str, Any]) -> tuple[str, Quote]:
    """Return Yahoo's symbol and the quote of a decoded `PricingData`; whole numbers of 64 bits are text in
    it.

    Raises:
        MalformedTick: it is no quote.
    """
    name = message.get("id")
    if not isinstance(name, str) or not name:
        why = message.get("error", "no id")
        raise MalformedTick(MalformedReason.BAD_FIELDS, f"no message of the stream: {why}"[:200])
    price = _price(message.get("price"), name)
    volume = message.get("day_volume")
    return name, Quote(
        price,
        _time(message.get("time"), name, 1),
        None if volume is None else _volume(volume, name),
        _side(message.get("bid")),
        _side(message.get("ask")),
    )


def read_chart(document: Any, name: str) -> Quote:
    """Return the quote in an answer of `/v8/finance/chart/SYMBOL`.

    Raises:
        NoData: Yahoo says that there is none.
        MalformedTick: the answer is something else.
    """
    chart = document.get("chart") if isinstance(document, dict) else None
    if not isinstance(chart, dict):
        raise MalformedTick(MalformedReason.BAD_FIELDS, f"{name}: the answer has no chart")
    if isinstance(error := chart.get("error"), dict):
        raise NoData(f"{name}: {error.get('code')}: {error.get('description')}"[:200])
    results = chart.get("result")
    meta = (
        results[0].get("meta")
        if isinstance(results, list) and results and isinstance(results[0], dict)
        else None
    )
    if not isinstance(meta, dict):
        raise NoData(f"{name}: the chart has no result")
    if meta.get("symbol", name) != name:
        raise MalformedTick(MalformedReason.BAD_SYMBOL, f"asked for {name}, got {str(meta['symbol'])[:32]}")
    if "regularMarketPrice" not in meta:
        raise NoData(f"{name}: the chart has no price")
    volume = meta.get("regularMarketVolume")
    return Quote(
        _price(meta["regularMarketPrice"], name),
        _time(meta.get("regularMarketTime"), name, 1000),
        None if volume is None else _volume(volume, name),
    )


def read_daily(document: Any, name: str) -> list[Bar]:
    """Return the daily bars of a chart, oldest first, adjusted for splits and dividends; days without a trade
    are left out.

    Raises:
        NoData: Yahoo says that there is none.
        MalformedTick: the answer is something else.
    """
    read_chart(document, name)
    result = document["chart"]["result"][0]
    try:
        quote = result["indicators"]["quote"][0]
        adjusted = result["indicators"]["adjclose"][0]["adjclose"]
        offset = int(result["meta"].get("gmtoffset", 0))
        columns = [quote[name] for name in ("open", "high", "low", "close", "volume")]
        rows = list(zip(result["timestamp"], *columns, adjusted, strict=True))
    except (LookupError, TypeError, ValueError):
        raise MalformedTick(MalformedReason.BAD_FIELDS, f"{name}: the chart has no bars") from None
    return [bar for row in rows if (bar := _bar(row, offset)) is not None]


def _bar(row: tuple[Any, ...], offset_seconds: int) -> Bar | None:
    numbers = [_number(value) for value in row]
    if any(number is None or not isfinite(number) for number in numbers):
        return None
    time, opened, high, low, close, volume, adjusted = (number or 0.0 for number in numbers)
    if not 0.0 < low <= min(opened, close) <= max(opened, close) <= high or adjusted <= 0.0:
        return None
    factor = adjusted / close
    session = int(time + offset_seconds) // 86_400
    return Bar(session, opened * factor, high * factor, low * factor, adjusted, volume)


def _number(value: Any) -> float | None:
    if isinstance(value, str) and value.isascii() and value.lstrip("-").isdigit():
        return float(value)
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None


def _price(value: Any, name: str) -> float:
    price = _number(value)
    if price is None or not 0.0 < price < MAX_PRICE:
        raise MalformedTick(MalformedReason.BAD_PRICE, f"{name}: {str(value)[:32]} is no price")
    return price


def _volume(value: Any, name: str) -> float:
    volume = _number(value)
    if volume is None or not 0.0 <= volume < MAX_VOLUME:
        raise MalformedTick(MalformedReason.BAD_VOLUME, f"{name}: {str(value)[:32]} is no volume")
    return volume


def _time(value: Any, name: str, to_ms: int) -> int:
    time = _number(value)
    if time is None or not 0 < time * to_ms < MAX_EVENT_TIME_MS:
        raise MalformedTick(MalformedReason.BAD_TIME, f"{name}: {str(value)[:32]} is no time")
    return int(time * to_ms)


def _side(value: Any) -> float | None:
    price = _number(value)
    return price if price is not None and 0.0 < price < MAX_PRICE else None


class LastQuotes:
    """What was seen last of each symbol, by stream and poll together: each trade gives one tick."""

    def __init__(self, source: str, session_at: Callable[[int], MarketSession]) -> None:
        self._source = source
        self._session_at = session_at
        self._seen: dict[str, Quote] = {}

    def tick(self, symbol: str, quote: Quote) -> Tick | None:
        """Return the trade that a quote shows, or None if it shows no newer one than was seen before."""
        before = self._seen.get(symbol)
        if before is not None and (quote.ts, quote.day_volume or 0.0) <= (
            before.ts,
            before.day_volume or 0.0,
        ):
            return None
        self._seen[symbol] = quote
        traded = 0.0
        if before is not None and quote.day_volume is not None and before.day_volume is not None:
            # Less than before: another day has begun.
            traded = quote.day_volume - before.day_volume
            traded = traded if traded >= 0.0 else quote.day_volume
        session = self._session_at(quote.ts)
        return Tick(symbol, quote.price, traded, quote.ts, self._source, session, None, quote.bid, quote.ask)
