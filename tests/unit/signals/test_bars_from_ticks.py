"""Which ticks make which bars: intraday bars, the clock, splits and dividends."""

from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stockpipeline.api import DEFAULT_INDICATORS, DEFAULT_RULES, Rule, Side
from stockpipeline.market.bars import BarSeries
from stockpipeline.market.corporate_actions import CorporateAction, ImpossibleAction
from stockpipeline.market.ticks import Tick
from stockpipeline.signals.detector import Detector, Outcome, Restored
from stockpipeline.signals.signal import Signal
from stockpipeline.signals.state import StateRecord

MINUTE_MS = 60_000
EAGER = (
    *DEFAULT_RULES,
    Rule(name="up", side=Side.BUY, when="close > prev(close)", rearm="close < prev(close)"),
    Rule(name="calm", side=Side.SELL, when="abs(rsi14 - 50) < 10", cooldown_bars=3),
)


class Topic:
    """A compacted topic: the newest value of each key."""

    def __init__(self) -> None:
        self.records: dict[str, bytes] = {}

    def write(self, changes: list[StateRecord]) -> None:
        for key, value in changes:
            if value is None:
                del self.records[key]
            else:
                self.records[key] = value


def intraday(market: Any, minutes: int = 5) -> Detector:
    detector = Detector("default/demo", DEFAULT_INDICATORS, EAGER, market.calendar, minutes)
    detector.warm_up("AAPL", BarSeries.empty())
    return detector


def minute_ticks(market: Any, sessions: int, every: int = 1, seed: int = 7) -> list[Tick]:
    """Return a tick each `every` minutes of some sessions, as a random walk."""
    random = np.random.default_rng(seed)
    ticks, price = [], 20.0
    for session in market.sessions[:sessions]:
        opens, closes = market.calendar.open_close_ms(session)
        for ts in range(opens, closes, every * MINUTE_MS):
            price = round(price * float(np.exp(random.normal(0, 0.002))), 2)
            tick = market.tick(price, seq=len(ticks) + 1)
            ticks.append(msgspec.structs.replace(tick, ts=ts))
    return ticks


def signals(detector: Detector, ticks: list[Tick]) -> list[Signal]:
    return [signal for tick in ticks for signal in detector.on_tick(tick).signals]


def test_intraday_bars_close_by_the_session(market: Any) -> None:
    detector, ticks, topic = intraday(market, 60), minute_ticks(market, 2), Topic()
    signals(detector, ticks)
    topic.write(detector.changes("AAPL"))
    closed = sorted(key.removeprefix("AAPL/2008-09-") for key in topic.records if "/" in key)
    assert closed == [
        *(f"15T{hour}:30Z" for hour in range(13, 20)),
        *(f"16T{hour}:30Z" for hour in range(13, 19)),  # the last one is still forming
    ]
    assert {signal.bar for signal in signals(intraday(market, 60), ticks)} <= {
        f"2008-09-{key}" for key in [*closed, "16T19:30Z"]
    }


def test_intraday_bars_of_every_length_add_up_to_the_day(market: Any) -> None:
    ticks = minute_ticks(market, 2)
    for minutes in (1, 7, 60, 390):
        detector, topic = intraday(market, minutes), Topic()
        signals(detector, ticks)
        topic.write(detector.changes("AAPL"))
        bars = [
            msgspec.msgpack.decode(value)[1]
            for key, value in sorted(topic.records.items())
            if key.startswith("AAPL/2008-09-15")
        ]
        first = ticks[:390]
        assert len(bars) == -(-390 // minutes)
        assert bars[0][1] == first[0].price
        assert max(bar[2] for bar in bars) == max(tick.price for tick in first)
        assert min(bar[3] for bar in bars) == min(tick.price for tick in first)
        assert bars[-1][4] == first[-1].price
        assert sum(bar[5] for bar in bars) == sum(tick.volume for tick in first)


@settings(max_examples=5)
@given(st.lists(st.integers(0, 2300), min_size=1, max_size=4, unique=True).map(sorted))
def test_an_intraday_detector_is_restored_exactly_and_stores_no_more_than_its_window(
    market: Any, stops: list[int]
) -> None:
    ticks = minute_ticks(market, 6)
    whole = intraday(market, 1)
    expected, topic, begin = signals(whole, ticks), Topic(), 0
    found: list[Signal] = []
    for end in [*stops, len(ticks)]:
        detector = intraday(market, 1)
        detector.restore("AAPL", topic.records)
        for first in range(begin, end, 300):
            found += signals(detector, ticks[first : min(first + 300, end)])
            topic.write(detector.changes("AAPL"))
        begin = end
    assert len(expected) > 200
    assert found == expected
    assert len(topic.records) <= 1001
    assert detector.changes("AAPL") == [whole.changes("AAPL")[0]]


def test_the_clock_closes_a_bar_whose_time_is_over(market: Any) -> None:
    detector = market.detector([])
    _, closes = market.calendar.open_close_ms(market.sessions[0])
    detector.on_tick(market.tick(20.0, at=0.5))
    assert detector.close_before(closes, ["AAPL"]) == []
    detector.changes("AAPL")
    assert detector.close_before(closes + 1, ["AAPL"]) == ["AAPL"]
    assert [record.key for record in detector.changes("AAPL")] == ["AAPL", "AAPL/2008-09-15"]
    assert detector.close_before(closes + 10**9, ["AAPL"]) == []
    before = detector.changes("AAPL")
    assert detector.on_tick(market.tick(21.0, at=0.9)).outcome is Outcome.LATE
    assert detector.changes("AAPL") == before
    assert detector.on_tick(market.tick(21.0, day=1)).outcome is Outcome.ACCEPTED
    assert detector.last_session("AAPL") == market.sessions[1]


@settings(max_examples=20)
@given(st.data())
def test_who_closes_a_bar_makes_no_difference_to_signals(market: Any, data: st.DataObject) -> None:
    ticks = minute_ticks(market, 40, every=60)
    by_ticks, by_clock = market.detector(EAGER), market.detector(EAGER)
    expected = signals(by_ticks, ticks)
    found: list[Signal] = []
    for tick in ticks:
        if data.draw(st.booleans()):
            by_clock.close_before(tick.ts, ["AAPL"])
        found += by_clock.on_tick(tick).signals
    assert found == expected
    assert by_clock.changes("AAPL")[0] == by_ticks.changes("AAPL")[0]


def at_new_terms(ticks: list[Tick], ratio: float) -> list[Tick]:
    return [
        msgspec.structs.replace(tick, price=tick.price / ratio, volume=tick.volume * ratio) for tick in ticks
    ]


@settings(max_examples=10)
@given(day=st.integers(1, 35), stored=st.booleans(), minutes=st.sampled_from([None, 30]))
def test_a_split_changes_no_signal_but_its_price(
    market: Any, day: int, stored: bool, minutes: int | None
) -> None:
    def make() -> Detector:
        made = Detector("default/demo", DEFAULT_INDICATORS, EAGER, market.calendar, minutes)
        made.warm_up("AAPL", market.history if minutes is None else BarSeries.empty())
        return made

    ticks = minute_ticks(market, 40, every=30)
    opens, _ = market.calendar.open_close_ms(market.sessions[day])
    before = [tick for tick in ticks if tick.ts < opens]
    after = ticks[len(before) :]
    expected = signals(make(), ticks)

    # A ratio of 4 is exact in binary, so that every value stays the same to the bit.
    detector, topic = make(), Topic()
    found = signals(detector, before)
    if stored:
        topic.write(detector.changes("AAPL"))
        detector = make()
        detector.restore("AAPL", topic.records)
    assert detector.apply("AAPL", CorporateAction(market.sessions[day], split=4.0))
    if stored:
        topic.write(detector.changes("AAPL"))
        detector = make()
        assert detector.restore("AAPL", topic.records) is Restored.EXACT
    assert not detector.apply("AAPL", CorporateAction(market.sessions[day], split=4.0))
    found += signals(detector, at_new_terms(after, 4.0))
    assert [(s.rule, s.ts, s.bar) for s in found] == [(s.rule, s.ts, s.bar) for s in expected]
    for ours, theirs in zip(found, expected, strict=True):
        ratio = 4.0 if ours.ts >= opens else 1.0
        assert ours.price == theirs.price / ratio
        assert ours.values.get("rsi14") == theirs.values.get("rsi14")
    assert expected


def test_without_the_split_the_rules_would_see_a_crash(market: Any) -> None:
    ticks = minute_ticks(market, 40, every=30)
    crash = ticks[:260] + at_new_terms(ticks[260:], 4.0)
    assert len(signals(market.detector(EAGER), crash)) != len(signals(market.detector(EAGER), ticks))


def test_a_dividend_lowers_the_bars_before_it(market: Any) -> None:
    rule = Rule(name="tested", side=Side.BUY, when="close > prev(close)", rearm="close > 0")
    detector = market.detector([rule])
    detector.on_tick(market.tick(20.0))
    assert detector.apply("AAPL", CorporateAction(market.sessions[1], dividend=1.0))
    (signal,) = detector.on_tick(market.tick(19.5, day=1)).signals
    assert signal.price == 19.5


def test_an_action_that_the_history_covers_changes_nothing(market: Any) -> None:
    detector = market.detector()
    before = detector.changes("AAPL")
    assert not detector.apply("AAPL", CorporateAction(int(market.history.sessions[-1]), split=2.0))
    assert detector.changes("AAPL") == before


def test_a_history_that_covers_an_action_replaces_it(market: Any) -> None:
    rule = [Rule(name="always", side=Side.BUY, when="rsi14 >= 0", rearm="close > 0")]
    first, topic = market.detector(rule), Topic()
    first.on_tick(market.tick(20.0))
    first.apply("AAPL", CorporateAction(market.sessions[1], split=2.0))
    topic.write(first.changes("AAPL"))
    later = BarSeries.from_bars([*market.history, *market.future[:2]])
    second, fresh = market.detector(rule, later), market.detector(rule, later)
    assert second.restore("AAPL", topic.records) is Restored.HISTORY_CHANGED
    (ours,), (theirs,) = (detector.on_tick(market.tick(30.0, day=2)).signals for detector in (second, fresh))
    assert ours == theirs


def test_actions_that_cannot_be_are_refused(market: Any) -> None:
    detector = market.detector()
    before = detector.changes("AAPL")
    for action in (
        CorporateAction(market.sessions[0], split=-1.0),
        CorporateAction(market.sessions[0], 1.0, 1e9),
    ):
        with pytest.raises(ImpossibleAction, match="2008-09-15 is impossible"):
            detector.apply("AAPL", action)
    assert detector.changes("AAPL") == before
