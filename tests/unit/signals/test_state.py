from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stockpipeline.api import DEFAULT_RULES, Rule, Side
from stockpipeline.market.bars import BarSeries
from stockpipeline.market.ticks import Tick
from stockpipeline.signals.detector import Detector, Outcome, Restored
from stockpipeline.signals.state import BrokenState, symbol_of
from stockpipeline.sources.bridge import bridge

# Eager rules, so that a wrong state shows in the signals.
RULES = (
    *DEFAULT_RULES,
    Rule(name="up", side=Side.BUY, when="close > prev(close)", rearm="close < prev(close)"),
    Rule(name="calm", side=Side.SELL, when="abs(rsi14 - 50) < 10", cooldown_bars=3),
)


class Topic:
    """A compacted topic: the newest value of each key."""

    def __init__(self) -> None:
        self.records: dict[str, bytes] = {}

    def write(self, detector: Detector) -> None:
        self.records.update(detector.changes("AAPL"))


@pytest.fixture(scope="module")
def ticks(market: Any) -> list[Tick]:
    """10 ticks of each of 60 sessions."""
    made = []
    for day, bar in enumerate(market.future):
        path = bridge(bar, "AAPL", *market.calendar.open_close_ms(bar.session), count=10, seed=3)
        for index, (ts, price, volume) in enumerate(zip(*path, strict=True)):
            tick = market.tick(price, day=day, seq=day * 10 + index + 1, volume=volume)
            made.append(msgspec.structs.replace(tick, ts=ts))
    return made


def signals(detector: Detector, ticks: list[Tick]) -> list[Any]:
    return [signal for tick in ticks for signal in detector.on_tick(tick).signals]


@settings(max_examples=20)
@given(st.lists(st.integers(0, 600), max_size=5, unique=True).map(sorted))
def test_a_detector_that_is_restored_at_any_ticks_gives_the_same_signals(
    market: Any, ticks: list[Tick], stops: list[int]
) -> None:
    topic, found, begin = Topic(), [], 0
    for end in [*stops, len(ticks)]:
        detector = market.detector(RULES)
        outcome = detector.restore("AAPL", topic.records)
        assert outcome is (Restored.EXACT if topic.records else Restored.NEW)
        # Written in several transactions, and once without a change.
        middle = (begin + end) // 2
        found += signals(detector, ticks[begin:middle])
        topic.write(detector)
        found += signals(detector, ticks[middle:end])
        topic.write(detector)
        topic.write(detector)
        begin = end
    expected = signals(market.detector(RULES), ticks)
    assert len(expected) > 50
    assert found == expected


def test_restoring_and_storing_again_gives_the_same_bytes(market: Any, ticks: list[Tick]) -> None:
    first, topic = market.detector(RULES), Topic()
    signals(first, ticks[:167])
    topic.write(first)
    second = market.detector(RULES)
    second.restore("AAPL", topic.records)
    assert second.changes("AAPL") == first.changes("AAPL")


def test_each_closed_bar_is_written_once_and_the_snapshot_stays_small(market: Any, ticks: list[Tick]) -> None:
    detector, keys = market.detector(RULES), []
    for start in range(0, len(ticks), 3):
        signals(detector, ticks[start : start + 3])
        records = detector.changes("AAPL")
        assert len(records[0].value) < 500
        keys += [record.key for record in records[1:]]
    assert len(keys) == len(set(keys)) == 59
    assert {symbol_of(key) for key in keys} == {"AAPL"}


def test_what_was_aborted_is_written_again_after_a_restore(market: Any, ticks: list[Tick]) -> None:
    topic, detector = Topic(), market.detector(RULES)
    signals(detector, ticks[:30])
    topic.write(detector)
    signals(detector, ticks[30:50])
    detector.changes("AAPL")  # never reached the topic
    detector.warm_up("AAPL", market.history)
    assert detector.restore("AAPL", topic.records) is Restored.EXACT
    found = signals(detector, ticks[30:200])
    topic.write(detector)
    whole = market.detector(RULES)
    assert found == signals(whole, ticks[:200])[-len(found) :]
    assert dict(whole.changes("AAPL")) == topic.records


def test_a_longer_history_replaces_the_bars_that_it_contains(market: Any, ticks: list[Tick]) -> None:
    topic, detector = Topic(), market.detector(RULES)
    signals(detector, ticks[:205])
    topic.write(detector)
    longer = BarSeries.from_bars([*market.history, *market.future[:15]])
    reloaded = market.detector(RULES, longer)
    assert reloaded.restore("AAPL", topic.records) is Restored.HISTORY_CHANGED
    # The bars are those that the ticks had made, so nothing else may change.
    assert signals(reloaded, ticks[205:]) == signals(detector, ticks[205:])


def test_a_replaced_history_is_the_usual_one_after_the_next_restart(market: Any, ticks: list[Tick]) -> None:
    topic, detector = Topic(), market.detector(RULES)
    signals(detector, ticks[:205])
    topic.write(detector)
    longer = BarSeries.from_bars([*market.history, *market.future[:15]])
    reloaded = market.detector(RULES, longer)
    reloaded.restore("AAPL", topic.records)
    signals(reloaded, ticks[205:235])
    topic.write(reloaded)
    assert market.detector(RULES, longer).restore("AAPL", topic.records) is Restored.EXACT


def test_a_history_that_covers_the_forming_bar_replaces_it(market: Any, ticks: list[Tick]) -> None:
    topic, detector = Topic(), market.detector(RULES)
    signals(detector, ticks[:205])
    topic.write(detector)
    reloaded = market.detector(RULES, BarSeries.from_bars([*market.history, *market.future[:21]]))
    assert reloaded.restore("AAPL", topic.records) is Restored.HISTORY_CHANGED
    assert not reloaded.on_tick(ticks[206]).outcome.accepted
    assert reloaded.on_tick(ticks[210]).outcome.accepted


def test_a_changed_rule_gets_a_fresh_latch_and_the_others_keep_theirs(market: Any) -> None:
    rules = [
        Rule(name=name, side=Side.BUY, when="close > 1", rearm="close < 1") for name in ("kept", "changed")
    ]
    topic, detector = Topic(), market.detector(rules)
    assert len(detector.on_tick(market.tick(20.0)).signals) == 2
    topic.write(detector)
    rules[1] = rules[1].model_copy(update={"when": "close > 2"})
    restarted = market.detector(rules)
    restarted.restore("AAPL", topic.records)
    assert [signal.rule for signal in restarted.on_tick(market.tick(20.0, day=1)).signals] == ["changed"]


def test_a_repeated_trade_is_known_after_a_restart(market: Any) -> None:
    topic, detector = Topic(), market.detector()
    detector.on_tick(market.tick(20.0))
    topic.write(detector)
    restarted = market.detector()
    restarted.restore("AAPL", topic.records)
    assert restarted.on_tick(market.tick(20.0)).outcome is Outcome.DUPLICATE


def test_missing_bars_are_noticed(market: Any, ticks: list[Tick]) -> None:
    topic, detector = Topic(), market.detector(RULES)
    signals(detector, ticks[:50])
    topic.write(detector)
    del topic.records[max(topic.records)]
    with pytest.raises(BrokenState, match="AAPL has 3 closed bars and should have 4"):
        market.detector(RULES).restore("AAPL", topic.records)


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("AAPL", b"", "'AAPL' cannot be read"),
        ("AAPL", b"\x00", "'AAPL' cannot be read"),
        ("AAPL/2008-09-15", b"junk", "'AAPL/2008-09-15' cannot be read"),
        (
            "AAPL",
            msgspec.msgpack.encode([2, "", 0, None, [], None, 0, []]),
            "version 2, this program reads 1",
        ),
        ("AAPL/2008-09-15", msgspec.msgpack.encode([9, [0, 1.0, 1.0, 1.0, 1.0, 0.0]]), "version 9"),
    ],
)
def test_broken_records_are_named(market: Any, key: str, value: bytes, message: str) -> None:
    with pytest.raises(BrokenState, match=message):
        market.detector().restore("AAPL", {key: value})


def test_records_of_another_symbol_are_a_mistake(market: Any) -> None:
    with pytest.raises(ValueError, match="'IBM' is not one of AAPL"):
        market.detector().restore("AAPL", {"IBM": b""})
