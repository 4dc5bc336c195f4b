import math
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stockpipeline.api import DEFAULT_INDICATORS, Rule, Side
from stockpipeline.market.bars import BarSeries
from stockpipeline.market.sessions import session_iso
from stockpipeline.market.ticks import MarketSession, Tick
from stockpipeline.signals.detector import Detector, Outcome
from stockpipeline.signals.signal import Signal, decode_signal, encode_signal, signal_id
from stockpipeline.signals.state import FormingBar, Snapshot


def snapshot(detector: Detector) -> Snapshot:
    record = detector.changes("AAPL")[0]
    return msgspec.msgpack.decode(record.value, type=Snapshot)


def forming(detector: Detector) -> FormingBar:
    bar = snapshot(detector).forming
    assert bar is not None
    return bar


def rule(when: str, rearm: str | None = None, cooldown_bars: int = 0) -> list[Rule]:
    return [Rule(name="tested", side=Side.BUY, when=when, rearm=rearm, cooldown_bars=cooldown_bars)]


def test_a_signal_carries_the_strength_of_its_rule(market: Any) -> None:
    rules = [
        Rule(name="weak", side=Side.BUY, when="close > 1", strength=0.25),
        Rule(name="full", side=Side.BUY, when="close > 1"),
    ]
    weak, full = market.detector(rules).on_tick(market.tick(20.0)).signals
    assert (weak.strength, full.strength) == (0.25, None)
    assert b'"strength":0.25' in encode_signal(weak)
    assert b"strength" not in encode_signal(full)
    assert decode_signal(encode_signal(weak)) == weak


@pytest.mark.parametrize(
    ("sessions", "fires"), [(["regular"], True), (["pre", "regular"], True), (["pre", "post"], False)]
)
def test_a_rule_looks_at_its_sessions_only(market: Any, sessions: list[str], fires: bool) -> None:
    rules = [Rule.model_validate({"name": "r", "side": "buy", "when": "close > 1", "sessions": sessions})]
    assert fired(market.detector(rules), market.tick(20.0)) == [fires]


def fired(detector: Detector, *ticks: Tick) -> list[bool]:
    return [bool(detector.on_tick(tick).signals) for tick in ticks]


def test_ticks_revise_one_forming_bar(market: Any) -> None:
    detector = market.detector([])
    for at, price in ((0.1, 20.0), (0.2, 22.0), (0.3, 19.0), (0.4, 21.0)):
        assert detector.on_tick(market.tick(price, at=at)).outcome is Outcome.ACCEPTED
    newest = market.tick(21.0, at=0.4)
    assert forming(detector) == FormingBar(market.sessions[0], 20.0, 22.0, 19.0, 21.0, 400.0, newest.ts)
    assert len(detector.changes("AAPL")) == 1


def test_a_tick_of_a_later_session_closes_the_bar(market: Any) -> None:
    detector = market.detector([])
    detector.on_tick(market.tick(20.0, day=0))
    detector.on_tick(market.tick(21.0, day=3))
    changes = detector.changes("AAPL")
    assert [record.key for record in changes] == ["AAPL", f"AAPL/{session_iso(market.sessions[0])}"]
    assert forming(detector).session == market.sessions[3]


def test_an_older_tick_of_the_session_moves_high_low_and_volume_only(market: Any) -> None:
    detector = market.detector([])
    detector.on_tick(market.tick(20.0, at=0.5))
    assert detector.on_tick(market.tick(25.0, at=0.3)).outcome is Outcome.OUT_OF_ORDER
    assert detector.on_tick(market.tick(15.0, at=0.2)).outcome is Outcome.OUT_OF_ORDER
    bar = forming(detector)
    assert (bar.open, bar.high, bar.low, bar.close, bar.volume) == (20.0, 25.0, 15.0, 20.0, 300.0)
    assert bar.ts == market.tick(20.0, at=0.5).ts


def refused_ticks(market: Any) -> list[tuple[Tick, Outcome]]:
    """Return ticks that a detector which just took day 2, at 0.5, number 7, must refuse."""
    good = market.tick(20.0, day=2, at=0.6, seq=8)
    opens, closes = market.calendar.open_close_ms(market.sessions[2])

    def but(**changes: object) -> Tick:
        return msgspec.structs.replace(good, **changes)

    return [
        (market.tick(20.0, day=1, seq=8), Outcome.LATE),
        (market.tick(20.0, day=0, seq=8), Outcome.LATE),
        (market.tick(20.0, day=2, at=0.6, seq=7), Outcome.DUPLICATE),
        (market.tick(20.0, day=3, at=0.6, seq=3), Outcome.DUPLICATE),
        (but(ts=opens - 1), Outcome.OUTSIDE_SESSION),
        (but(ts=closes + 1), Outcome.OUTSIDE_SESSION),
        (but(session=MarketSession.PRE), Outcome.OUTSIDE_SESSION),
        (but(session=MarketSession.DAYTIME), Outcome.OUTSIDE_SESSION),
        (but(price=math.nan), Outcome.MALFORMED),
        (but(price=math.inf), Outcome.MALFORMED),
        (but(price=0.0), Outcome.MALFORMED),
        (but(price=-1.0), Outcome.MALFORMED),
        (but(volume=math.nan), Outcome.MALFORMED),
        (but(volume=-1.0), Outcome.MALFORMED),
        (but(ts=-5), Outcome.MALFORMED),
        (but(symbol="TSLA"), Outcome.UNKNOWN_SYMBOL),
    ]


@pytest.mark.parametrize("index", range(16))
def test_a_refused_tick_leaves_the_state_byte_identical(market: Any, index: int) -> None:
    detector = market.detector()
    for number, day in ((5, 0), (6, 1), (7, 2)):
        detector.on_tick(market.tick(20.0, day=day, seq=number))
    detector.changes("AAPL")
    before = detector.changes("AAPL")
    tick, outcome = refused_ticks(market)[index]
    assert detector.on_tick(tick) == (outcome, ())
    assert not outcome.accepted
    assert detector.changes("AAPL") == before


def test_a_tick_of_a_session_in_the_history_is_late(market: Any) -> None:
    detector = market.detector()
    opens, _ = market.calendar.open_close_ms(int(market.history.sessions[-1]))
    tick = msgspec.structs.replace(market.tick(20.0), ts=opens)
    assert detector.on_tick(tick).outcome is Outcome.LATE


def test_an_unnumbered_tick_that_repeats_the_last_is_a_duplicate(market: Any) -> None:
    detector = market.detector([])
    assert detector.on_tick(market.tick(20.0)).outcome is Outcome.ACCEPTED
    assert detector.on_tick(market.tick(20.0)).outcome is Outcome.DUPLICATE
    assert detector.on_tick(market.tick(20.0, volume=7.0)).outcome is Outcome.ACCEPTED
    assert detector.on_tick(market.tick(20.5, volume=7.0)).outcome is Outcome.ACCEPTED
    assert forming(detector).volume == 114.0


session_ticks = st.lists(
    st.tuples(st.integers(1, 10_000), st.integers(1, 1000), st.integers(0, 23_400_000)),
    min_size=2,
    max_size=30,
)


@given(session_ticks, st.data())
def test_shuffled_and_repeated_ticks_of_a_session_make_the_same_bar(
    market: Any, raw: list[tuple[int, int, int]], data: st.DataObject
) -> None:
    opens, _ = market.calendar.open_close_ms(market.sessions[0])
    ticks = [
        Tick("AAPL", price / 100, float(volume), opens + offset, "replay", MarketSession.REGULAR, number)
        for number, (price, volume, offset) in enumerate(sorted(raw, key=lambda row: row[2]), 1)
    ]
    first, *rest = ticks
    schedule = data.draw(st.permutations(rest + data.draw(st.lists(st.sampled_from(ticks), max_size=10))))
    in_order, shuffled = market.detector([]), market.detector([])
    for tick in ticks:
        in_order.on_tick(tick)
    outcomes = [shuffled.on_tick(tick).outcome for tick in [first, *schedule]]
    assert sum(outcome.accepted for outcome in outcomes) == len(ticks)
    expected, found = forming(in_order), forming(shuffled)
    assert (found.open, found.high, found.low, found.volume, found.ts) == (
        *(expected.open, expected.high, expected.low, expected.volume, expected.ts),
    )
    newest = [tick.price for tick in ticks if tick.ts == expected.ts]
    assert found.close in newest


def test_a_rule_sees_the_forming_bar(market: Any) -> None:
    detector = market.detector(rule("high - low > 3 and close < open and volume >= 300"))
    assert fired(
        detector,
        market.tick(20.0, at=0.1),
        market.tick(24.0, at=0.2),
        market.tick(19.0, at=0.3),
        market.tick(18.0, at=0.4),
    ) == [False, False, True, False]


def price_for_rsi(market: Any, target: float) -> float:
    """Return the price at which RSI on the first forming bar is ``target``, to 1e-6."""
    values: list[float] = []

    def rsi(price: float) -> float:
        detector = market.detector(rule("rsi14 < 1000"))
        (signal,) = detector.on_tick(market.tick(price)).signals
        values.append(signal.values["rsi14"])
        return values[-1]

    low, high = 0.01, 1000.0
    while high - low > 1e-6:
        middle = (low + high) / 2
        low, high = (middle, high) if rsi(middle) < target else (low, middle)
    return low


def test_rsi_31_29_9_30_1_29_8_is_one_signal(market: Any) -> None:
    detector = market.detector(rule("rsi14 < 30", "rsi14 > 35"))
    prices = [price_for_rsi(market, rsi) for rsi in (31, 29.9, 30.1, 29.8)]
    ticks = [market.tick(price, at=0.1 * number) for number, price in enumerate(prices, 1)]
    assert fired(detector, *ticks) == [False, True, False, False]


def test_a_thousand_revisions_leave_no_trace(market: Any) -> None:
    touched, fresh = market.detector(), market.detector()
    for number in range(1000):
        touched.on_tick(market.tick(market.last_close * (1 + 0.0001 * math.sin(number)), at=number / 2000))
    final = [market.tick(market.last_close * 1.0002, at=0.9), market.tick(market.last_close * 0.9, day=1)]
    fresh.on_tick(market.tick(market.last_close * (1 + 0.0001 * math.sin(0)), at=0.0))
    for number in (11, 33):  # the highest and the lowest of all
        extreme = max if number == 11 else min
        price = extreme(market.last_close * (1 + 0.0001 * math.sin(n)) for n in range(1000))
        fresh.on_tick(market.tick(price, at=0.1))
    for tick in final:
        ours, theirs = touched.on_tick(tick), fresh.on_tick(tick)
        assert [s.values for s in ours.signals] == [s.values for s in theirs.signals]
    assert ours.signals


def test_crossing_compares_the_last_closed_bar_with_the_forming_one(market: Any) -> None:
    level = round(market.last_close) + 50.0
    detector = market.detector(rule(f"crosses_above(close, {level})"))
    assert fired(
        detector,
        market.tick(level - 1, day=0),
        market.tick(level + 1, day=0, at=0.6),  # the last closed bar was below: crossed
        market.tick(level + 2, day=1),  # the last closed bar was above already
        market.tick(level - 2, day=1, at=0.6),
        market.tick(level + 2, day=2),
    ) == [False, True, False, False, True]


def test_the_cooldown_counts_closed_bars(market: Any) -> None:
    detector = market.detector(rule("close > 0", rearm="close > 0", cooldown_bars=3))
    assert fired(detector, *(market.tick(20.0, day=day) for day in range(8))) == [
        *(True, False, False, True, False, False, True, False)
    ]


def test_at_most_once_a_bar(market: Any) -> None:
    detector = market.detector(rule("close > 0", rearm="close > 0"))
    ticks = [market.tick(20.0 + at, day=day, at=at) for day in range(2) for at in (0.1, 0.2, 0.3)]
    assert fired(detector, *ticks) == [True, False, False, True, False, False]


@pytest.mark.parametrize("bars", [0, 5, 20, 77])
def test_nothing_is_signalled_before_an_indicator_has_converged(market: Any, bars: int) -> None:
    detector = market.detector(rule("rsi14 >= 0") + rule("not rsi14 > 1000"), market.history.last(bars))
    assert fired(detector, market.tick(20.0), market.tick(21.0, at=0.6)) == [False, False]
    ready, reason = detector.readiness("AAPL")
    assert not ready
    assert reason == f"AAPL has {bars} closed daily bars; MACD needs 99 to forget where its history begins"


def test_a_rule_signals_as_soon_as_what_it_reads_has_converged(market: Any) -> None:
    detector = market.detector(rule("rsi14 >= 0"), market.history.last(77))
    assert fired(detector, market.tick(20.0), market.tick(21.0, day=1)) == [False, True]
    assert not detector.readiness("AAPL").ready
    assert market.detector().readiness("AAPL") == (True, "")


def test_a_symbol_without_history_warms_up_from_ticks(market: Any) -> None:
    detector = market.detector(rule("prev(close, 2) > 0"), BarSeries.empty())
    assert fired(detector, *(market.tick(20.0 + day, day=day) for day in range(3))) == [False, False, True]


@pytest.mark.parametrize("when", ["rsi14 < 30", "not rsi14 > 1000"])
def test_a_flat_series_never_signals(market: Any, when: str) -> None:
    flat = BarSeries.from_bars(
        [msgspec.structs.replace(bar, open=20.0, high=20.0, low=20.0, close=20.0) for bar in market.history]
    )
    detector = market.detector(rule(when), flat)
    assert fired(detector, *(market.tick(20.0, day=day) for day in range(5))) == [False] * 5
    assert fired(detector, market.tick(19.0, day=5)) == [True]


def test_a_division_by_zero_is_no_value(market: Any) -> None:
    detector = market.detector(rule("not 1 / (close - 20) < 0"))
    assert fired(detector, market.tick(20.0), market.tick(21.0, at=0.6)) == [False, True]


def test_a_signal_carries_what_made_it(market: Any) -> None:
    detector = market.detector(rule("rsi14 >= 0 and close > 0"))
    tick = market.tick(20.0)
    (signal,) = detector.on_tick(tick).signals
    day = session_iso(market.sessions[0])
    rsi = signal.values["rsi14"]
    assert signal == Signal(
        id=signal_id("default/demo", "AAPL", "tested", "buy", day, tick.ts, 20.0),
        pipeline="default/demo",
        symbol="AAPL",
        rule="tested",
        side="buy",
        price=20.0,
        ts=tick.ts,
        bar=day,
        values={"rsi14": rsi},
        confidence=1.0,
        source="replay",
    )
    assert decode_signal(encode_signal(signal)) == signal


def test_a_low_confidence_is_told(market: Any) -> None:
    (signal,) = (
        market.detector(rule("rsi14 >= 0"), market.history.last(80)).on_tick(market.tick(20.0)).signals
    )
    assert 0.99 <= signal.confidence < 0.995


def test_an_out_of_order_tick_signals_as_of_the_newest_trade(market: Any) -> None:
    detector = market.detector(rule("low < 15"))
    newest = market.tick(20.0, at=0.5)
    detector.on_tick(newest)
    outcome, (signal,) = detector.on_tick(market.tick(14.0, at=0.2))
    assert outcome is Outcome.OUT_OF_ORDER
    assert (signal.price, signal.ts) == (20.0, newest.ts)


def test_the_id_is_known() -> None:
    """The id is a wire format: other programs compute it too."""
    assert (
        signal_id("default/demo", "AAPL", "rsi-oversold", "buy", "2008-09-15", 1_221_485_400_000, 140.25)
        == "d9a9899b1b7ec40b3b0a052b9a022bbf"
    )


def test_a_symbol_that_is_not_warmed_up_is_unknown(market: Any) -> None:
    detector = Detector("default/demo", DEFAULT_INDICATORS, [], market.calendar)
    assert detector.on_tick(market.tick(20.0)).outcome is Outcome.UNKNOWN_SYMBOL
    assert detector.readiness("AAPL") == (False, "AAPL has no history yet")
    detector.warm_up("AAPL", market.history)
    detector.forget("AAPL")
    assert detector.on_tick(market.tick(20.0)).outcome is Outcome.UNKNOWN_SYMBOL
