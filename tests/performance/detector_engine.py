"""The detector's engine without a broker: ticks as Kafka messages in memory, in, signals out.

    engine_decode         taking each message's value and decoding it with msgspec: the limit of Python
    engine_default        the whole engine with the default indicators and rules, as the detector runs it
    engine_20_indicators  the same with 20 indicators and a rule on each of them
    engine_python         the whole engine without the native path
    engine_pandas         the default indicators with pandas, rebuilt from JSON for each tick
    engine_warm_start     a process from its start until 4,000 symbols of 250 bars are warmed up, from a file
    engine_warm_rss       the memory that it has taken at most by then

Rates are per second of CPU time of one core, the best of some rounds that take turns. All engines get the
same ticks, the slow ones the first of them.
"""

from __future__ import annotations

import gc
import json
import struct
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import date
from itertools import islice
from pathlib import Path

import msgspec
import numpy as np
import pandas as pd
from confluent_kafka import Message

from stockpipeline.api import DEFAULT_INDICATORS, DEFAULT_RULES, Indicator, Rule, Side
from stockpipeline.indicators.catalog import Layout
from stockpipeline.market.bars import BarSeries
from stockpipeline.market.calendar import SessionCalendar
from stockpipeline.market.ticks import MAX_EVENT_TIME_MS, MarketSession, Tick, decode_tick, encode_tick
from stockpipeline.signals.detector import Detector
from stockpipeline.signals.fastpath import FastPath
from tests.performance.report import Report

EXCHANGE = "XNAS"
BARS = 250
DRAIN = 1000
FUNCTIONS = (
    "RSI", "MACD", "BBANDS", "SMA", "EMA", "STOCH", "WILLR", "ROC", "ADX", "ATR", "CCI", "MFI", "OBV", "AD",
    "CMF", "KAMA", "AROON", "SAR", "TRIX", "ULTOSC",
)  # fmt: skip
TWENTY = tuple(Indicator(name=f"i{index}", function=name) for index, name in enumerate(FUNCTIONS))


def rules_on(indicators: Iterable[Indicator]) -> tuple[Rule, ...]:
    """Return a rule on the first value of each indicator that no tick makes fire, but each might."""
    names = {position: name for name, position in Layout.of(indicators).slots.items()}
    firsts = [next(n for n in names.values() if n.split("_")[0] == one.name) for one in indicators]
    return tuple(
        Rule(
            name=f"r-{name.replace('_', '-')}",
            side=Side.BUY,
            when=f"{name} > 1000 + 1000 * abs(prev({name}))",
        )
        for name in firsts
    )


@dataclass
class Market:
    """Histories of many symbols, and ticks of the session after them."""

    calendar: SessionCalendar
    histories: dict[str, BarSeries]
    messages: list[Message]


def make_market(symbols: int, ticks: int) -> Market:
    """Return random walks; prices have four decimals, every tick is of a symbol by chance."""
    calendar, random = SessionCalendar(EXCHANGE), np.random.default_rng(1)
    sessions = calendar.sessions_between(date(2022, 1, 3), date(2023, 12, 29))[:BARS]
    names = [f"S{number:04d}" for number in range(symbols)]
    histories = {name: random_history(random, sessions) for name in names}
    opens, closes = calendar.open_close_ms(calendar.next_session(sessions[-1]))
    prices = {name: float(series.close[-1]) for name, series in histories.items()}
    numbers = dict.fromkeys(names, 0)
    chosen, steps = random.integers(0, symbols, ticks).tolist(), random.normal(0, 0.0005, ticks).tolist()
    messages = []
    for index, (symbol, step) in enumerate(zip(chosen, steps, strict=True)):
        name = names[symbol]
        prices[name] *= 1.0 + step
        numbers[name] += 1
        tick = Tick(
            name,
            round(prices[name], 4),
            100.0,
            opens + (closes - opens) * index // ticks,
            "replay",
            MarketSession.REGULAR,
            numbers[name],
        )
        messages.append(Message("ticks", 0, index, name.encode(), encode_tick(tick)))
    return Market(calendar, histories, messages)


def random_history(random: np.random.Generator, sessions: list[int]) -> BarSeries:
    """Return daily bars of a random walk."""
    close = 50.0 * np.exp(np.cumsum(random.normal(0, 0.02, len(sessions))))
    opens = close * np.exp(random.normal(0, 0.005, len(sessions)))
    high, low = np.maximum(opens, close) * 1.01, np.minimum(opens, close) * 0.99
    volume = random.integers(10**5, 10**7, len(sessions)).astype(float)
    return BarSeries(np.array(sessions, dtype=np.int32), opens, high, low, close, volume)


def warm(market: Market, indicators: Iterable[Indicator], rules: Iterable[Rule]) -> Detector:
    """Return a detector that can take the first tick."""
    detector = Detector("bench/engine", indicators, rules, market.calendar)
    for symbol, history in market.histories.items():
        detector.warm_up(symbol, history)
    return detector


def decode_only(market: Market) -> Callable[[list[Message]], int]:
    """Return the limit of Python."""
    decode = msgspec.json.Decoder(Tick).decode

    def run(messages: list[Message]) -> int:
        for message in messages:
            decode(message.value() or b"")
        return len(messages)

    return run


def whole(
    market: Market,
    indicators: Iterable[Indicator] = DEFAULT_INDICATORS,
    rules: Iterable[Rule] = DEFAULT_RULES,
) -> Callable[[list[Message]], int]:
    """Return the engine as ``detector.intake`` runs it, without what it does to Kafka and metrics."""
    detector = warm(market, indicators, rules)
    fast = FastPath(detector, dict.fromkeys(market.histories, 0))
    fast.take([], 0, [])
    fast.admit(0, MAX_EVENT_TIME_MS)

    def run(messages: list[Message]) -> int:
        for start in range(0, len(messages), DRAIN):
            drained = messages[start : start + DRAIN]
            changed: list[str] = []
            at = fast.take(drained, 0, changed)
            while at < len(drained):
                detector.on_tick(decode_tick(drained[at].value() or b""))
                at = fast.take(drained, at + 1, changed)
        return len(messages)

    return run


def without_native_path(market: Market) -> Callable[[list[Message]], int]:
    """Return the engine in Python alone."""
    detector = warm(market, DEFAULT_INDICATORS, DEFAULT_RULES)

    def run(messages: list[Message]) -> int:
        for message in islice(messages, len(messages) // 10):
            detector.on_tick(decode_tick(message.value() or b""))
        return len(messages) // 10

    return run


def with_pandas(market: Market) -> Callable[[list[Message]], int]:
    """Return what many scripts do: 60 bars of JSON become a frame on every tick, all is computed anew."""
    closes = {name: json.dumps(series.last(60).close.tolist()) for name, series in market.histories.items()}

    def run(messages: list[Message]) -> int:
        for message in islice(messages, 300):
            tick = json.loads(message.value() or b"")
            close = pd.Series([*json.loads(closes[tick["symbol"]]), tick["price"]])
            change = close.diff()
            gain = change.clip(lower=0).ewm(alpha=1 / 14, adjust=False).mean()
            loss = (-change.clip(upper=0)).ewm(alpha=1 / 14, adjust=False).mean()
            rsi = 100 - 100 / (1 + gain / loss)
            macd = close.ewm(span=12, adjust=False).mean() - close.ewm(span=26, adjust=False).mean()
            signal = macd.ewm(span=9, adjust=False).mean()
            middle, width = close.rolling(20).mean(), 2 * close.rolling(20).std(ddof=0)
            [float(column.iloc[-1]) for column in (rsi, macd, signal, middle - width, middle + width)]
        return 300

    return run


def rates(
    market: Market, makers: dict[str, Callable[[Market], Callable[[list[Message]], int]]], rounds: int
) -> dict[str, float]:
    """Return the best rate of each engine; each round begins with warm, unused engines."""
    best = dict.fromkeys(makers, 0.0)
    for _ in range(rounds):
        for name, make in makers.items():
            run = make(market)
            gc.collect()
            started = time.process_time()
            count = run(market.messages)
            best[name] = max(best[name], count / (time.process_time() - started))
    return best


def warm_start(symbols: int) -> tuple[float, float]:
    """Return seconds and MiB that a new process takes to warm up from a file of histories."""
    random = np.random.default_rng(2)
    sessions = SessionCalendar(EXCHANGE).sessions_between(date(2022, 1, 3), date(2023, 12, 29))[:BARS]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "histories")
        with path.open("wb") as file:
            for _ in range(symbols):
                data = random_history(random, sessions).encode()
                file.write(struct.pack("<I", len(data)) + data)
        started = time.monotonic()
        command = [sys.executable, "-m", "tests.performance.detector_warm", str(path)]
        printed = subprocess.run(command, check=True, capture_output=True, text=True).stdout
        return time.monotonic() - started, float(printed)


def measure(report: Report, *, quick: bool) -> None:
    """Add the engine's rows to the report."""
    symbols, ticks, rounds = (50, 20_000, 1) if quick else (500, 400_000, 5)
    market = make_market(symbols, ticks)
    gc.freeze()
    found = rates(
        market,
        {
            "engine_decode": decode_only,
            "engine_default": whole,
            "engine_20_indicators": lambda market: whole(market, TWENTY, rules_on(TWENTY)),
            "engine_python": without_native_path,
            "engine_pandas": with_pandas,
        },
        rounds,
    )
    gc.unfreeze()
    note = f"{symbols} symbols, {ticks} ticks in memory"
    report.add("engine_decode", found.pop("engine_decode"), "ticks/s", note=note)
    for name, rate in found.items():
        report.add(name, rate, "ticks/s", baseline="engine_decode")
    warmed = 200 if quick else 4000
    seconds, mebibytes = warm_start(warmed)
    report.add("engine_warm_start", seconds, "s", note=f"{warmed} symbols of {BARS} bars")
    report.add("engine_warm_rss", mebibytes, "MiB", note=f"{warmed} symbols of {BARS} bars")
