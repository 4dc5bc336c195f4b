"""An independent computation of the signals that the default indicators and rules must give.

It shares nothing with the product but the bars and ticks that it is given: indicators are TA-Lib's *batch*
functions over all closed bars plus the forming one, computed anew for every tick, and each default rule is
written out in Python. Slow and plain on purpose.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from hashlib import blake2b
from struct import pack
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

import numpy as np
import talib
from numpy.typing import NDArray

EXCHANGE_TIME = ZoneInfo("America/New_York")


class Ohlcv(NamedTuple):
    """One daily bar."""

    session: date
    open: float
    high: float
    low: float
    close: float
    volume: float


Values = Mapping[str, float]


@dataclass(frozen=True)
class Rule:
    """A default rule: `when` and `rearm` see the values of the forming bar and of the last closed one."""

    name: str
    side: str
    reads: tuple[str, ...]
    strength: float = 1.0

    def when(self, now: Values, before: Values) -> bool:
        """Whether the rule holds."""
        match self.name:
            case "rsi-oversold":
                return now["rsi14"] < 30
            case "rsi-overbought":
                return now["rsi14"] > 70
            case "bb-lower-touch":
                return now["low"] <= now["bb_lower"]
            case "bb-upper-touch":
                return now["high"] >= now["bb_upper"]
            case "macd-cross-up":
                return before["macd"] <= before["macd_signal"] and now["macd"] > now["macd_signal"]
            case "macd-cross-down":
                return before["macd"] >= before["macd_signal"] and now["macd"] < now["macd_signal"]
            case "recommend-strong-buy":
                return recommendation(now) > 0.5
            case "recommend-buy":
                return recommendation(now) > 0.1
            case "recommend-sell":
                return recommendation(now) < -0.1
            case "recommend-strong-sell":
                return recommendation(now) < -0.5
        raise AssertionError(self.name)

    def rearm(self, now: Values, before: Values) -> bool:
        """Whether a rule that fired may fire again."""
        match self.name:
            case "rsi-oversold":
                return now["rsi14"] > 35
            case "rsi-overbought":
                return now["rsi14"] < 65
            case "bb-lower-touch":
                return now["close"] > now["bb_middle"]
            case "bb-upper-touch":
                return now["close"] < now["bb_middle"]
            case "recommend-strong-buy":
                return recommendation(now) < 0.3
            case "recommend-buy":
                return recommendation(now) < 0
            case "recommend-sell":
                return recommendation(now) > 0
            case "recommend-strong-sell":
                return recommendation(now) > -0.3
        return not self.when(now, before)


def recommendation(now: Values) -> float:
    """From -1 (sell) to 1 (buy): RSI and Bollinger bands against the move, MACD with it, 4 : 3 : 3."""
    rsi = min(1.0, max(-1.0, (50 - now["rsi14"]) / 20))
    bands = min(1.0, max(-1.0, (now["bb_middle"] - now["close"]) / (now["bb_upper"] - now["bb_middle"])))
    trend = 0.3 * now["macd_hist"] / (abs(now["macd"]) + abs(now["macd_signal"]))
    return 0.4 * rsi + 0.3 * bands + trend


RECOMMENDATION_READS = ("rsi14", "macd", "macd_signal", "macd_hist", "bb_upper", "bb_middle")
DEFAULT_RULES = (
    Rule("rsi-oversold", "buy", ("rsi14",)),
    Rule("rsi-overbought", "sell", ("rsi14",)),
    Rule("bb-lower-touch", "buy", ("bb_lower", "bb_middle")),
    Rule("bb-upper-touch", "sell", ("bb_upper", "bb_middle")),
    Rule("macd-cross-up", "buy", ("macd", "macd_signal")),
    Rule("macd-cross-down", "sell", ("macd", "macd_signal")),
    Rule("recommend-strong-buy", "buy", RECOMMENDATION_READS),
    Rule("recommend-buy", "buy", RECOMMENDATION_READS, 0.5),
    Rule("recommend-sell", "sell", RECOMMENDATION_READS, 0.5),
    Rule("recommend-strong-sell", "sell", RECOMMENDATION_READS),
)


@dataclass
class Symbol:
    """All that is known of a symbol: its closed bars, the forming one, and which rules have fired."""

    closed: list[Ohlcv]
    forming: Ohlcv | None = None
    disarmed: set[str] = field(default_factory=set)
    fired_in: dict[str, date] = field(default_factory=dict)


def values_of(bars: list[Ohlcv]) -> tuple[Values, Values]:
    """Return all values on the last bar and on the one before it."""
    columns: dict[str, NDArray[np.float64]] = {
        name: np.array([getattr(bar, name) for bar in bars]) for name in Ohlcv._fields[1:]
    }
    close = columns["close"]
    columns["rsi14"] = talib.RSI(close, timeperiod=14)
    columns["macd"], columns["macd_signal"], columns["macd_hist"] = talib.MACD(close, 12, 26, 9)
    columns["bb_upper"], columns["bb_middle"], columns["bb_lower"] = talib.BBANDS(close, 20, 2, 2)
    return (
        {name: float(column[-1]) for name, column in columns.items()},
        {name: float(column[-2]) for name, column in columns.items()},
    )


def expected_signals(
    pipeline: str, history: Mapping[str, Iterable[Ohlcv]], ticks: Iterable[Mapping[str, Any]]
) -> list[dict[str, Any]]:
    """Return the signals of `pipeline` ("NAMESPACE/NAME") for ticks as they stand in the topic, in order.

    `history` has the closed bars before the first tick: enough of them that every indicator is ready.
    """
    symbols = {name: Symbol(list(bars)) for name, bars in history.items()}
    signals = []
    for tick in ticks:
        signals += _on_tick(pipeline, symbols[tick["symbol"]], tick)
    return signals


def _on_tick(pipeline: str, symbol: Symbol, tick: Mapping[str, Any]) -> list[dict[str, Any]]:
    session = datetime.fromtimestamp(tick["ts"] / 1000, EXCHANGE_TIME).date()
    price, volume = tick["price"], tick["volume"]
    bar = symbol.forming
    if bar is not None and bar.session == session:
        bar = Ohlcv(session, bar.open, max(bar.high, price), min(bar.low, price), price, bar.volume + volume)
    else:
        if bar is not None:
            symbol.closed.append(bar)
        bar = Ohlcv(session, price, price, price, price, volume)
    symbol.forming = bar
    now, before = values_of([*symbol.closed, bar])
    signals = []
    for rule in DEFAULT_RULES:
        if rule.name in symbol.disarmed and rule.rearm(now, before):
            symbol.disarmed.remove(rule.name)
        if (
            rule.name not in symbol.disarmed
            and symbol.fired_in.get(rule.name) != session
            and rule.when(now, before)
        ):
            symbol.disarmed.add(rule.name)
            symbol.fired_in[rule.name] = session
            signals.append(_signal(pipeline, rule, tick, session, now))
    return signals


def _signal(pipeline: str, rule: Rule, tick: Mapping[str, Any], session: date, now: Values) -> dict[str, Any]:
    texts = (pipeline, tick["symbol"], rule.name, rule.side, session.isoformat())
    content = "".join(f"{text}\0" for text in texts).encode() + pack("<qd", tick["ts"], tick["price"])
    return {
        "id": blake2b(content, digest_size=16).hexdigest(),
        "pipeline": pipeline,
        "symbol": tick["symbol"],
        "rule": rule.name,
        "side": rule.side,
        "price": tick["price"],
        "ts": tick["ts"],
        "bar": session.isoformat(),
        "values": {name: now[name] for name in rule.reads},
        "source": tick["source"],
        **({} if rule.strength == 1.0 else {"strength": rule.strength}),
    }
