"""Positions followed through hand-made trades, and against a plain computation over all of them."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stockpipeline.market.calendar import SessionCalendar
from stockpipeline.signals.performance.benchmark import Benchmark
from stockpipeline.signals.performance.book import LIVE_INTERVAL_MS, Book
from stockpipeline.signals.performance.horizon import parse_horizon
from stockpipeline.signals.performance.position import Position, Quote
from stockpipeline.signals.performance.record import Performance, Status, Terms, performance
from stockpipeline.signals.signal import Signal
from stockpipeline.signals.state import BrokenState
from tests.unit.signals.performance.test_horizon import ms

START = ms("2013-11-26 10:00")
MINUTE = 60_000


def signal(side: str = "buy", ts: int = START, price: float = 100.0, name: str = "one") -> Signal:
    return Signal(name, "default/demo", "IBM", "dip", side, price, ts, "2013-11-26", {}, 1.0, "replay")


def book(calendar: SessionCalendar, *horizons: str, benchmark: Benchmark | None = None) -> Book:
    return Book(calendar, [parse_horizon(text) for text in horizons or ("1h",)], benchmark)


def record(
    calendar: SessionCalendar, position: Position, now: Quote | None = None, cost: float = 0.0
) -> Performance:
    terms = Terms("default/demo", cost, calendar)
    return performance(terms, "IBM", position, now, closed=now is None)


def test_a_buy_from_entry_to_exit(calendar: SessionCalendar) -> None:
    tested = book(calendar)
    tested.open(signal(price=100.0))
    for minutes, price in ((1, 101.0), (10, 99.0), (30, 105.04), (50, 103.0), (60, 102.0), (61, 102.01)):
        tested.on_trade(START + minutes * MINUTE, price)
    (closed,) = tested.closed
    assert tested.positions == []
    assert tested.news == {}
    found = record(calendar, closed, cost=0.001)
    assert found.status is Status.CLOSED
    assert found.live is None
    # Entered at 101, a minute after the signal at 100; out at the first trade at or after 11:01.
    assert found.entry is not None
    assert (found.entry.ts, found.entry.price) == (START + MINUTE, 101.0)
    result = found.horizons["1h"]
    assert result is not None
    assert (result.due, result.exit.ts, result.exit.price) == (
        START + 61 * MINUTE, START + 61 * MINUTE, 102.01,
    )  # fmt: skip
    assert result.gross == pytest.approx(0.01)
    assert result.net_return == pytest.approx(0.01 - 0.001 * (1 + 1.01))
    assert (result.mfe, result.mae) == (pytest.approx(0.04), pytest.approx(99 / 101 - 1))
    assert result.time_to_mfe == 29 * 60
    assert result.excess is None


def test_a_sell_gains_what_falls(calendar: SessionCalendar) -> None:
    tested = book(calendar)
    tested.open(signal("sell"))
    for minutes, price in ((1, 100.0), (2, 104.0), (3, 90.0), (61, 95.0)):
        tested.on_trade(START + minutes * MINUTE, price)
    result = record(calendar, tested.closed[0], cost=0.001).horizons["1h"]
    assert result is not None
    assert result.gross == pytest.approx(0.05)
    assert result.net_return == pytest.approx(0.05 - 0.001 * 1.95)
    assert (result.mfe, result.mae) == (pytest.approx(0.1), pytest.approx(-0.04))


def test_a_signal_in_the_last_second_is_entered_at_the_next_open(calendar: SessionCalendar) -> None:
    tested = book(calendar, "1h", "1d")
    tested.open(signal(ts=ms("2013-11-26 16:00")))
    (waiting,) = tested.positions
    assert record(calendar, waiting, Quote(START, 1.0)).status is Status.WAITING
    tested.on_trade(ms("2013-11-27 09:30"), 50.0)
    tested.on_trade(ms("2013-11-27 10:29"), 51.0)
    assert [made is None for made in tested.positions[0].exits] == [True, True]
    # Nothing trades when the hour is over: the next trade counts, whenever it comes.
    tested.on_trade(ms("2013-11-27 12:00"), 55.0)
    found = record(calendar, tested.positions[0], Quote(ms("2013-11-27 12:00"), 55.0))
    assert found.status is Status.OPEN
    assert found.live is not None
    assert found.live.gross == pytest.approx(0.1)
    hour = found.horizons["1h"]
    assert hour is not None
    assert (hour.due, hour.exit.ts) == (ms("2013-11-27 10:30"), ms("2013-11-27 12:00"))
    assert found.horizons["1d"] is None
    tested.on_trade(ms("2013-11-29 09:30"), 60.0)
    assert record(calendar, tested.closed[0]).horizons["1d"] is not None


def test_each_horizon_keeps_the_excursion_up_to_it(calendar: SessionCalendar) -> None:
    tested = book(calendar, "10m", "20m")
    tested.open(signal())
    for minutes, price in ((0, 100.0), (10, 110.0), (15, 80.0), (20, 100.0)):
        tested.on_trade(START + minutes * MINUTE, price)
    found = record(calendar, tested.closed[0])
    first, second = found.horizons["10m"], found.horizons["20m"]
    assert first is not None
    assert second is not None
    assert (first.mfe, first.mae) == (pytest.approx(0.1), 0.0)
    assert (second.mfe, second.mae) == (pytest.approx(0.1), pytest.approx(-0.2))


def test_a_split_rescales_what_is_open(calendar: SessionCalendar) -> None:
    def run(factor: float) -> Performance:
        tested = book(calendar, "10m", "1d")
        tested.open(signal())
        for minutes, price in ((1, 100.0), (5, 120.0), (11, 104.0)):
            tested.on_trade(START + minutes * MINUTE, price)
        if factor != 1.0:
            tested.rescale(factor, ms("2013-11-27 09:30"))
        tested.on_trade(ms("2013-11-27 09:30"), 90.0 * factor)
        tested.on_trade(ms("2013-11-27 10:01"), 106.0 * factor)
        return record(calendar, tested.closed[0])

    split, plain = run(0.5), run(1.0)
    assert split.entry is not None
    assert split.entry.price == 50.0
    for name in ("10m", "1d"):
        one, other = split.horizons[name], plain.horizons[name]
        assert one is not None
        assert other is not None
        assert (one.gross, one.mfe, one.mae) == (other.gross, other.mfe, other.mae)


def test_excess_waits_for_the_benchmark_and_closes_then(calendar: SessionCalendar) -> None:
    benchmark = Benchmark("SPY")
    tested = book(calendar, "10m", benchmark=benchmark)
    tested.open(signal("sell"))
    tested.on_trade(START, 100.0)
    tested.on_trade(START + 10 * MINUTE, 95.0)
    assert tested.closed == []
    assert tested.waiting
    assert tested.oldest_wait == START
    benchmark.on_trade(START - 1, 190.0)
    benchmark.on_trade(START + 3, 200.0)
    tested.compare()
    assert tested.oldest_wait == START + 10 * MINUTE
    benchmark.on_trade(START + 10 * MINUTE, 190.0)
    tested.compare()
    assert not tested.waiting
    result = record(calendar, tested.closed[0]).horizons["10m"]
    assert result is not None
    # Short 5 % down while the benchmark, short as well, made the same 5 %.
    assert result.excess == pytest.approx(0.0)


def test_a_benchmark_that_was_there_before_is_found_as_well(calendar: SessionCalendar) -> None:
    benchmark = Benchmark("SPY")
    for minutes, price in ((0, 10.0), (5, 11.0), (10, 12.0), (15, 13.0)):
        benchmark.on_trade(START + minutes * MINUTE, price)
    benchmark.on_trade(START, 99.0)  # older than another: left out
    tested = book(calendar, "10m", benchmark=benchmark)
    tested.open(signal())
    tested.on_trade(START, 100.0)
    tested.on_trade(START + 10 * MINUTE, 100.0)
    result = record(calendar, tested.closed[0]).horizons["10m"]
    assert result is not None
    assert result.excess == pytest.approx(-0.2)


def test_an_open_position_is_told_again_when_its_excess_is_known(calendar: SessionCalendar) -> None:
    benchmark = Benchmark("SPY")
    tested = book(calendar, "10m", "1d", benchmark=benchmark)
    tested.open(signal())
    tested.on_trade(START, 100.0)
    tested.news = {}
    benchmark.on_trade(START, 10.0)
    tested.compare()
    assert tested.news == {}  # the entry's price alone says nothing new
    tested.on_trade(START + 10 * MINUTE, 100.0)
    tested.news = {}
    tested.compare()
    assert tested.news == {}
    benchmark.on_trade(START + 10 * MINUTE, 11.0)
    tested.compare()
    assert list(tested.news) == ["one"]


def test_what_lies_before_the_benchmarks_first_trade_is_not_known(calendar: SessionCalendar) -> None:
    """A later price must not stand in for one that was not read yet: another partition may be behind."""
    benchmark = Benchmark("SPY")
    benchmark.begin(START + 5 * MINUTE)
    for minutes in (4, 6, 11):
        benchmark.on_trade(START + minutes * MINUTE, 10.0 + minutes)
    tested = book(calendar, "10m", benchmark=benchmark)
    tested.open(signal())
    tested.on_trade(START, 100.0)
    tested.on_trade(START + 10 * MINUTE, 100.0)
    assert tested.closed == []
    assert tested.oldest_wait == START
    benchmark.begin(START)
    for minutes in (0, 4, 6, 11):
        benchmark.on_trade(START + minutes * MINUTE, 10.0 + minutes)
    tested.compare()
    result = record(calendar, tested.closed[0]).horizons["10m"]
    assert result is not None
    assert result.excess == pytest.approx(-1.1)


def test_old_trades_of_the_benchmark_are_forgotten_and_not_replaced(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("stockpipeline.signals.performance.benchmark.MOST_TRADES", 10)
    benchmark = Benchmark("SPY")
    for number in range(11):
        benchmark.on_trade(number, float(number))
    assert [benchmark.price_at(ts) for ts in (4, 5, 10, 11)] == [None, 5.0, 10.0, None]


def test_live_updates_are_spaced_in_event_time(calendar: SessionCalendar) -> None:
    tested = book(calendar, "1d")
    tested.open(signal())
    assert tested.live(START + 10 * LIVE_INTERVAL_MS, 9) == []  # not entered yet
    tested.on_trade(START, 100.0)
    assert tested.live(START + LIVE_INTERVAL_MS - 1, 9) == []
    assert len(tested.live(START + LIVE_INTERVAL_MS, 9)) == 1
    assert tested.live(START + LIVE_INTERVAL_MS + 1, 9) == []
    assert tested.live(START + 2 * LIVE_INTERVAL_MS, 0) == []  # no room now: it stays due
    assert len(tested.live(START + 2 * LIVE_INTERVAL_MS, 1)) == 1


def test_broken_state_is_told(calendar: SessionCalendar) -> None:
    with pytest.raises(BrokenState, match="cannot be read"):
        book(calendar).restore(b"\xff")
    with pytest.raises(BrokenState, match="version 99"):
        book(calendar).restore(b"\x93\x63\xc0\x90")


def test_positions_keep_the_horizons_they_were_entered_with(calendar: SessionCalendar) -> None:
    before = book(calendar, "10m")
    before.open(signal())
    before.on_trade(START, 100.0)
    after = book(calendar, "1h", "1d")
    after.restore(before.encode())
    after.on_trade(START + 10 * MINUTE, 101.0)
    assert list(record(calendar, after.closed[0]).horizons) == ["10m"]


def test_another_benchmark_begins_anew(calendar: SessionCalendar) -> None:
    old, new = Benchmark("SPY"), Benchmark("QQQ")
    old.on_trade(START, 10.0)
    before = book(calendar, "10m", benchmark=old)
    before.open(signal())
    before.on_trade(START, 100.0)
    assert before.oldest_wait is None
    same, other = book(calendar, "10m", benchmark=old), book(calendar, "10m", benchmark=new)
    same.restore(before.encode())
    other.restore(before.encode())
    assert (same.oldest_wait, other.oldest_wait) == (None, START)


steps = st.tuples(
    st.integers(0, 40 * MINUTE),  # time to the trade before
    st.integers(-30, 30).map(lambda cents: cents / 100),  # move of the price
    st.sampled_from(["", "", "", "", "buy", "sell"]),  # a signal made by this trade
)


@given(st.lists(steps, min_size=2, max_size=60), st.integers(0, 59))
def test_any_trades_give_what_a_plain_computation_says(
    calendar: SessionCalendar, trades: list[tuple[int, float, str]], stop: int
) -> None:
    """Also with a restart in the middle: the book skips most trades, and forgets none that matters."""
    begin = calendar.trading_ms(START)
    quotes: list[Quote] = []
    signals: list[tuple[int, Signal]] = []
    elapsed, price = 0, 100.0
    tested = book(calendar, "30m", "1d")
    closed: list[Position] = []
    for index, (wait, move, side) in enumerate(trades):
        elapsed += wait
        price = round(price + move, 2)
        ts = calendar.at_trading_ms(begin + elapsed)
        quotes.append(Quote(ts, price))
        tested.on_trade(ts, price)
        if side:
            made = signal(side, ts, price, name=f"signal-{index}")
            signals.append((index, made))
            tested.open(made)
        if index == stop:
            closed += tested.closed
            again = book(calendar, "30m", "1d")
            again.restore(tested.encode())
            tested = again
    closed += tested.closed
    found = {p.signal_id: record(calendar, p) for p in closed}
    open_ones = {p.signal_id: record(calendar, p, quotes[-1]) for p in tested.positions}
    assert found.keys() | open_ones.keys() == {made.id for _, made in signals}
    assert all(one.ts <= other.ts for one, other in pairwise(quotes))
    for index, made in signals:
        later = quotes[index + 1 :]
        got = found.get(made.id) or open_ones[made.id]
        if not later:
            assert got.status is Status.WAITING
            continue
        entry, sign = later[0], 1 if made.side == "buy" else -1
        assert got.entry is not None
        assert (got.entry.ts, got.entry.price) == (entry.ts, entry.price)
        for name in ("30m", "1d"):
            due = parse_horizon(name).due(calendar, entry.ts)
            until = next((i for i, quote in enumerate(later) if i and quote.ts >= due), None)
            result = got.horizons[name]
            if until is None:
                assert result is None
                continue
            assert result is not None
            returns = [sign * (quote.price / entry.price - 1) for quote in later[: until + 1]]
            assert (result.due, result.exit.ts, result.gross) == (due, later[until].ts, returns[-1])
            assert (result.mfe, result.mae) == (max(returns), min(returns))
            best = later[returns.index(max(returns))].ts
            trading = calendar.trading_ms(best) - calendar.trading_ms(entry.ts)
            assert result.time_to_mfe * 1000 == pytest.approx(trading, abs=0.01)
