"""The native path against the plain one: the same signals and the same state, to the byte, whatever comes."""

import json
from collections.abc import Callable
from typing import Any

import msgspec
import numpy as np
import pytest
from confluent_kafka import Message
from hypothesis import given, settings
from hypothesis import strategies as st

from stockpipeline.api import DEFAULT_INDICATORS, DEFAULT_RULES, Indicator, Rule, Side
from stockpipeline.market.bars import BarSeries
from stockpipeline.market.corporate_actions import CorporateAction
from stockpipeline.market.ticks import (
    MAX_EVENT_TIME_MS,
    MalformedTick,
    MarketSession,
    Tick,
    decode_tick,
    encode_tick,
)
from stockpipeline.signals.detector import Detector
from stockpipeline.signals.fastpath import FastPath
from stockpipeline.signals.judged import JudgedDetector
from stockpipeline.signals.performance.judge import Measures
from stockpipeline.signals.signal import Signal
from stockpipeline_native import read_tick

SYMBOLS = {"AAPL": 0, "IBM": 1, "MSFT": 0}
INDICATORS = (
    *DEFAULT_INDICATORS,
    Indicator(name="atr", function="ATR"),
    Indicator(name="obv", function="OBV"),
    Indicator(name="stoch", function="STOCH"),
    Indicator(name="engulfing", function="CDLENGULFING"),
    Indicator(name="trend", function="SUPERTREND"),
)
EAGER = tuple(
    Rule(name=f"r{index}", side=Side.BUY, when=when, rearm=rearm, cooldown_bars=index % 3)
    for index, (when, rearm) in enumerate(
        [
            ("close > prev(close)", "close < prev(close)"),
            ("abs(rsi14 - 50) < 10", None),
            ("high - low > 0.5 * atr or volume > 3000", "volume < 500"),
            ("prev(close, 3) < prev(close) <= close < bb_upper", "not close > bb_middle"),
            ("(close - prev(close)) / (close - 20) > 0.02", "1 / (high - low) > 3"),
            ("min(close, bb_middle, stoch_slowk) < max(20, prev(low, 2), -macd_hist)", "obv != prev(obv)"),
            ("engulfing != 0 or trend_trend == 1 and +close >= open", "engulfing == 0"),
            ("crosses_below(macd, macd_signal) and rsi14 > 0", "rsi14 < 100"),
        ]
    )
)


def message(value: bytes, partition: int = 0) -> Message:
    return Message("ticks", partition, 0, b"key", value)


def take_plainly(detector: Detector, messages: list[Message], changed: list[str]) -> list[Signal]:
    signals: list[Signal] = []
    for one in messages:
        signals += take_one(detector, one, changed)
    return signals


def take_one(detector: Detector, one: Message, changed: list[str]) -> tuple[Signal, ...]:
    try:
        tick = decode_tick(one.value() or b"")
    except MalformedTick:
        return ()
    if SYMBOLS.get(tick.symbol) != one.partition():
        return ()
    outcome, signals = detector.on_tick(tick)
    if outcome.accepted:
        changed.append(tick.symbol)
    return signals


def take_fast(
    detector: Detector, fast: FastPath, messages: list[Message], changed: list[str]
) -> tuple[list[Signal], int]:
    """Return the signals, and how many messages were left to Python."""
    signals: list[Signal] = []
    left = 0
    at = fast.take(messages, 0, changed)
    while at < len(messages):
        signals += take_one(detector, messages[at], changed)
        left += 1
        at = fast.take(messages, at + 1, changed)
    return signals, left


class Pair:
    """Two detectors that are alike, one of which is fed through the native path."""

    def __init__(self, make: Callable[[], Detector], histories: dict[str, BarSeries]) -> None:
        self.plain, self.fast_one = make(), make()
        self.both = (self.plain, self.fast_one)
        for detector in self.both:
            for symbol, history in histories.items():
                detector.warm_up(symbol, history)
        self.fast = FastPath(self.fast_one, SYMBOLS)
        self.fast.take([], 0, [])
        self.left = self.signals = 0
        self.admit()

    def admit(self) -> None:
        for partition in set(SYMBOLS.values()):
            self.fast.admit(partition, MAX_EVENT_TIME_MS)

    def take(self, messages: list[Message]) -> None:
        plainly_changed: list[str] = []
        fast_changed: list[str] = []
        expected = take_plainly(self.plain, messages, plainly_changed)
        found, left = take_fast(self.fast_one, self.fast, messages, fast_changed)
        assert found == expected
        assert set(fast_changed) == set(plainly_changed)
        self.left += left
        self.signals += len(found)

    def compare(self) -> None:
        for symbol in SYMBOLS:
            assert self.fast_one.changes(symbol) == self.plain.changes(symbol)


def walk(market: Any, sessions: int, every_minutes: int, seed: int) -> list[Tick]:
    """Return ticks of all symbols, in the order of their times."""
    random = np.random.default_rng(seed)
    prices = dict.fromkeys(SYMBOLS, market.last_close)
    numbers = dict.fromkeys(SYMBOLS, 0)
    ticks = []
    for session in market.sessions[:sessions]:
        opens, closes = market.calendar.open_close_ms(session)
        for ts in range(opens, closes, every_minutes * 60_000):
            symbol = str(random.choice(list(SYMBOLS)))
            prices[symbol] = round(prices[symbol] * float(np.exp(random.normal(0, 0.004))), 4)
            numbers[symbol] += 1
            ticks.append(
                Tick(
                    symbol,
                    prices[symbol],
                    float(random.integers(1, 200)),
                    ts,
                    "replay",
                    MarketSession.REGULAR,
                    numbers[symbol],
                )
            )
    return ticks


def histories(market: Any, bars: int) -> dict[str, BarSeries]:
    return dict.fromkeys(SYMBOLS, market.history.last(bars))


def disturb(data: st.DataObject, ticks: list[Tick]) -> list[Message]:
    """Return the ticks as messages, with everything that can be wrong with some of them."""
    messages = []
    for tick in ticks:
        kind = data.draw(st.integers(0, 60))
        value, partition, times = encode_tick(tick), SYMBOLS[tick.symbol], 1
        match kind:
            case 0:
                times = 2
            case 1:
                value = value[: data.draw(st.integers(0, len(value)))]
            case 2:
                value = encode_tick(msgspec.structs.replace(tick, seq=None))
            case 3:
                value = encode_tick(msgspec.structs.replace(tick, session=MarketSession.PRE))
            case 4:
                value = encode_tick(msgspec.structs.replace(tick, price=-tick.price))
            case 5:
                partition = 1 - partition
            case 6:
                value = json.dumps(dict(reversed(json.loads(value).items()))).encode()
            case 7:
                value = encode_tick(msgspec.structs.replace(tick, symbol="TSLA"))
            case 8:
                value = encode_tick(msgspec.structs.replace(tick, ts=tick.ts - 40_000_000))
            case 9:
                value = encode_tick(msgspec.structs.replace(tick, seq=tick.seq + 5))  # type: ignore[operator]
            case 10:
                value = encode_tick(msgspec.structs.replace(tick, seq=None, bid=tick.price, ask=None))
                times = 2
        messages += [message(value, partition)] * times
    for _ in range(data.draw(st.integers(0, 5))):
        first, second = (data.draw(st.integers(0, len(messages) - 1)) for _ in range(2))
        messages[first], messages[second] = messages[second], messages[first]
    return messages


@settings(max_examples=15)
@given(
    data=st.data(),
    seed=st.integers(0, 1000),
    bars=st.sampled_from([0, 30, 120, 300]),
    minutes=st.sampled_from([None, None, 5, 60]),
)
def test_any_messages_in_any_batches_give_the_same(
    market: Any, data: st.DataObject, seed: int, bars: int, minutes: int | None
) -> None:
    pair = Pair(
        lambda: Detector("default/demo", INDICATORS, EAGER + DEFAULT_RULES, market.calendar, minutes),
        histories(market, bars if minutes is None else 0),
    )
    messages = disturb(data, walk(market, sessions=4, every_minutes=6, seed=seed))
    while messages:
        size = data.draw(st.integers(1, 80))
        pair.take(messages[:size])
        messages = messages[size:]
        if data.draw(st.booleans()):
            pair.compare()
    pair.compare()


def test_nearly_all_ticks_are_taken_without_python(market: Any) -> None:
    pair = Pair(
        lambda: Detector("default/demo", DEFAULT_INDICATORS, DEFAULT_RULES, market.calendar),
        histories(market, 300),
    )
    ticks = walk(market, sessions=3, every_minutes=1, seed=4)
    pair.take([message(encode_tick(tick), SYMBOLS[tick.symbol]) for tick in ticks])
    pair.compare()
    assert pair.signals > 5
    # The first tick of each bar, and those at which a latch moves.
    assert pair.left < 9 + 4 * pair.signals < len(ticks) / 10


def test_what_happens_between_batches_counts(market: Any) -> None:
    pair = Pair(lambda: Detector("default/demo", INDICATORS, EAGER, market.calendar), histories(market, 300))
    ticks = walk(market, sessions=6, every_minutes=2, seed=9)
    messages = [message(encode_tick(tick), SYMBOLS[tick.symbol]) for tick in ticks]
    for start in range(0, len(messages), 97):
        pair.take(messages[start : start + 97])
        for detector in pair.both:
            match start % 4:
                case 1:
                    detector.close_before(ticks[start].ts + 20_000_000, SYMBOLS)
                case 2:
                    session = market.calendar.session_of(ticks[start].ts)
                    detector.apply("AAPL", CorporateAction(session, split=1.0 + start / 1000))
                case 3:
                    records = {key: value for key, value in detector.changes("IBM") if value is not None}
                    if len(records) == 1:  # no bar closed since the last time
                        detector.warm_up("IBM", market.history)
        pair.fast.take([], 0, [])
        pair.admit()
    pair.compare()
    assert pair.signals > 50


def test_signals_are_judged_the_same(market: Any) -> None:
    def make() -> JudgedDetector:
        measures = Measures(["30m", "1d"], 0.001, "IBM")
        return JudgedDetector(
            "default/demo", INDICATORS, EAGER, market.calendar, measures, own_benchmark=True
        )

    pair = Pair(make, histories(market, 300))
    ticks = walk(market, sessions=5, every_minutes=1, seed=2)
    messages = [message(encode_tick(tick), SYMBOLS[tick.symbol]) for tick in ticks]
    for start in range(0, len(messages), 200):
        pair.take(messages[start : start + 200])
        pair.compare()
    plain, fast = pair.both
    assert isinstance(plain, JudgedDetector)
    assert isinstance(fast, JudgedDetector)
    assert fast.results() == plain.results()
    assert len(plain.results()) > 50
    assert pair.left < len(ticks) / 2 + len(ticks) / 3  # the benchmark's are a third


def test_ticks_later_than_admitted_are_left_to_python(market: Any) -> None:
    detector = market.detector()
    detector.on_tick(market.tick(20.0, at=0.1, seq=1))
    detector.on_tick(market.tick(20.0, at=0.1, seq=2))
    tick = market.tick(20.0, at=0.5, seq=3)
    fast, changed = FastPath(detector, {"AAPL": 0}), []
    messages = [message(encode_tick(tick))]
    assert fast.take(messages, 0, changed) == 0
    fast.admit(0, tick.ts - 1)
    assert fast.take(messages, 0, changed) == 0
    fast.admit(0, tick.ts)
    assert (fast.take(messages, 0, changed), changed) == (1, ["AAPL"])
    assert fast.take(messages, 0, changed) == 0  # a duplicate now


def test_symbols_that_went_are_left_to_python(market: Any) -> None:
    detector = market.detector()
    for seq in (1, 2):
        detector.on_tick(market.tick(20.0, at=0.1, seq=seq))
    fast = FastPath(detector, {"AAPL": 0})
    fast.take([], 0, [])
    fast.admit(0, MAX_EVENT_TIME_MS)
    messages = [message(encode_tick(market.tick(20.0, at=0.5, seq=seq))) for seq in (3, 4)]
    assert fast.take(messages[:1], 0, []) == 1
    detector.forget("AAPL")
    assert fast.take(messages[1:], 0, []) == 0


def plain_form(value: bytes) -> tuple[str, float, float, int, int] | None:
    """Return what ``read_tick`` must give for bytes that it takes."""
    tick = decode_tick(value)
    assert tick.session is MarketSession.REGULAR
    return tick.symbol, tick.price, tick.volume, tick.ts, tick.seq or 0


GOOD = (
    b'{"symbol":"AAPL","price":21.5,"volume":100,"ts":1221485400000,"source":"s","session":"regular","seq":7}'
)


@settings(max_examples=200)
@given(st.data())
def test_damaged_ticks_are_never_read_as_others(data: st.DataObject) -> None:
    value = bytearray(GOOD)
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, len(value) - 1))
        match data.draw(st.integers(0, 2)):
            case 0:
                value[at] = data.draw(st.sampled_from(b'{}",:.-+eE0123456789 \\\n\tnulltrueabz\xc3\x00'))
            case 1:
                del value[at]
            case 2:
                value.insert(at, data.draw(st.sampled_from(b'{}",:.-+eE019 \\nu')))
        if not value:
            break
    found = read_tick(bytes(value))
    if found is not None:
        assert found == plain_form(bytes(value))


@settings(max_examples=150)
@given(
    st.one_of(
        st.floats(1e-6, 9e11).map(repr),
        st.decimals(0, 10**9, places=6).map(lambda number: format(number, "f")),
        st.integers(1, 10**11).map(str),
        st.from_regex(r"[0-9]{1,13}(\.[0-9]{1,25})?([eE][+-]?[0-9]{1,2})?", fullmatch=True),
    )
)
def test_numbers_are_rounded_as_the_decoder_rounds_them(number: str) -> None:
    value = GOOD.replace(b"21.5", number.encode())
    found = read_tick(value)
    if found is not None:
        assert found == plain_form(value)
    elif "e" not in number.lower():
        with pytest.raises(MalformedTick):
            decode_tick(value)


@pytest.mark.parametrize(
    "change",
    [
        (b'"regular"', b'"pre"'),
        (b'"AAPL"', b'"AA\\u0050L"'),
        (b'"AAPL"', '"AAPĽ"'.encode()),
        (b'"AAPL"', b'""'),
        (b'"AAPL"', b'"ABCDEFGHIJKLMNOPQ"'),
        (b"21.5", b"0"),
        (b"21.5", b"021.5"),
        (b"21.5", b"1e12"),
        (b"21.5", b"NaN"),
        (b"1221485400000", b"1221485400000.0"),
        (b"1221485400000", b"4102444800000"),
        (b'"seq":7', b'"seq":0'),
        (b'"seq":7', b'"seq":9007199254740992'),
        (b'"seq":7', b'"seq":7,"seq":8'),
        (b'"seq":7', b'"unknown":7'),
        (b'"volume":100,', b""),
        (b'"volume":100', b'"volume":-1'),
        (b'"source":"s"', b'"source":"' + 64 * b"s" + b'"'),
        (b"}", b"}}"),
        (b"}", b""),
    ],
)
def test_what_is_not_plain_is_left_to_the_decoder(change: tuple[bytes, bytes]) -> None:
    assert read_tick(GOOD) == ("AAPL", 21.5, 100.0, 1221485400000, 7)
    assert read_tick(GOOD.replace(*change)) is None


def test_other_producers_may_use_spaces_and_any_order() -> None:
    fields = json.loads(GOOD)
    assert read_tick(json.dumps(fields, indent=1).encode()) == read_tick(GOOD)
    assert read_tick(json.dumps(dict(reversed(fields.items()))).encode()) == read_tick(GOOD)
