"""The ticks of the benchmark, and the history before them: random walks, the same at every run."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, timedelta
from functools import cache

import numpy as np

from stockpipeline.api import PipelineConfig
from stockpipeline.market.bars import BarSeries
from stockpipeline.market.calendar import SessionCalendar
from stockpipeline.market.ticks import MarketSession, Tick, encode_tick

HISTORY_BARS = 250
FIRST_DAY = date(2013, 1, 3)
_SEED = 20130103

# More than the default three: the usual ones of each of TA-Lib's groups.
TWENTY = (
    ("rsi14", "RSI"), ("macd", "MACD"), ("bb", "BBANDS"), ("sma20", "SMA"), ("ema20", "EMA"),
    ("wma20", "WMA"), ("dema", "DEMA"), ("tema", "TEMA"), ("kama", "KAMA"), ("adx", "ADX"),
    ("atr", "ATR"), ("cci", "CCI"), ("mfi", "MFI"), ("mom", "MOM"), ("roc", "ROC"),
    ("stoch", "STOCH"), ("willr", "WILLR"), ("obv", "OBV"), ("ad", "AD"), ("trix", "TRIX"),
)  # fmt: skip


def symbols(count: int) -> list[str]:
    """Names as short as real ones."""
    return [f"S{number}" for number in range(count)]


def pipeline(
    name: str, kafka: str, redis: str, symbol_count: int, partitions: int, **spec: object
) -> PipelineConfig:
    """A pipeline `bench/NAME` with the indicators and rules that ship, unless told otherwise."""
    return PipelineConfig.model_validate(
        {
            "namespace": "bench",
            "name": name,
            "spec": {
                "universe": {"symbols": symbols(symbol_count), "exchange": "XNAS"},
                # Nobody runs it; a pipeline has to have one.
                "sources": [{"name": "bench", "replay": {"start": FIRST_DAY.isoformat()}}],
                "kafka": {"bootstrapServers": kafka, "partitions": partitions},
                "redis": {"url": redis},
                **spec,
            },
        }
    )


@cache
def _calendar() -> SessionCalendar:
    return SessionCalendar("XNAS")


@cache
def history(symbol_count: int) -> dict[str, BarSeries]:
    """Return 250 closed daily bars of each symbol."""
    days = _calendar().sessions_between(date(2011, 1, 3), FIRST_DAY)[:-1][-HISTORY_BARS:]
    sessions = np.array(days, np.int32)
    chance = np.random.default_rng(_SEED)
    series = {}
    for symbol in symbols(symbol_count):
        close = np.round(100 * np.exp(np.cumsum(chance.normal(0, 0.01, HISTORY_BARS))), 2)
        open_ = np.round(close * np.exp(chance.normal(0, 0.003, HISTORY_BARS)), 2)
        high, low = np.maximum(open_, close) + 0.25, np.minimum(open_, close) - 0.25
        volume = np.round(chance.uniform(1e5, 1e6, HISTORY_BARS))
        series[symbol] = BarSeries(sessions, open_, high, low, close, volume)
    return series


def one_day(symbol_count: int, count: int) -> Iterator[tuple[str, bytes]]:
    """Yield (symbol, tick) of one session: symbols in random order, prices that walk 2 % or so."""
    chance = np.random.default_rng(_SEED + 1)
    names = symbols(symbol_count)
    opens_ms, closes_ms = _calendar().open_close_ms(_calendar().sessions_between(FIRST_DAY, FIRST_DAY)[0])
    prices = [float(series.close[-1]) for series in history(symbol_count).values()]
    numbers = [0] * symbol_count
    times = np.linspace(opens_ms, closes_ms, count).astype(np.int64).tolist()
    which = chance.integers(0, symbol_count, count).tolist()
    steps = np.exp(chance.normal(0, 0.02 / np.sqrt(max(1, count / symbol_count)), count)).tolist()
    volumes = chance.integers(1, 999, count).tolist()
    for ts, index, step, volume in zip(times, which, steps, volumes, strict=True):
        prices[index] *= step
        numbers[index] += 1
        tick = Tick(
            names[index], round(prices[index], 2), volume, ts, "bench", MarketSession.REGULAR, numbers[index]
        )
        yield names[index], encode_tick(tick)


# Once a session for each symbol: a price above the bar's open, after one that was not.
OFTEN = {"name": "above-open", "side": "buy", "when": "close > open"}


def one_signal_a_session(
    symbol_count: int, count: int, ticks_of_a_session: int
) -> Iterator[tuple[str, int, bytes]]:
    """Yield (symbol, event time, tick): the rule OFTEN gives one signal in each session of so many ticks.

    The symbols' sessions do not begin together: signals, and bars that begin, come evenly, as many in each
    second as in the next.
    """
    names = symbols(symbol_count)
    turns = (count + symbol_count - 1) // symbol_count
    last = (turns - 1 + ticks_of_a_session) // ticks_of_a_session
    sessions = _calendar().sessions_between(FIRST_DAY, FIRST_DAY + timedelta(days=7 + 2 * last))
    opens_ms = [_calendar().open_close_ms(session)[0] for session in sessions[: last + 1]]
    closes = [float(series.close[-1]) for series in history(symbol_count).values()]
    for number in range(count):
        turn, index = divmod(number, symbol_count)
        session, place = divmod(turn + index % ticks_of_a_session, ticks_of_a_session)
        ts = opens_ms[session] + 1000 * place + 1
        # Each session is lower than the last: ten that close alike are a flat series, left to Python.
        rise = 0.01 if place >= ticks_of_a_session // 2 else 0.0
        price = round(closes[index] - 0.02 * session + rise, 2)
        tick = Tick(names[index], price, 100, ts, "bench", MarketSession.REGULAR, turn + 1)
        yield names[index], ts, encode_tick(tick)
