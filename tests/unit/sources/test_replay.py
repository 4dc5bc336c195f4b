from collections import defaultdict
from datetime import date
from itertools import groupby, pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stockpipeline.market.bars import Bar, BarSeries
from stockpipeline.market.calendar import SessionCalendar
from stockpipeline.market.packaged import packaged_bars
from stockpipeline.market.ticks import MarketSession, Tick
from stockpipeline.sources import Source
from stockpipeline.sources.replay import ReplaySource

# The week of Thanksgiving 2012, and the one after: a holiday, a half day, and all five symbols trade.
START, END = date(2012, 11, 19), date(2012, 11, 30)
PER_BAR = 6


def replay(
    calendar: SessionCalendar,
    symbols: str = "AAPL FB IBM",
    start: date = START,
    end: date | None = END,
    seed: int = 1,
) -> ReplaySource:
    bars = {symbol: packaged_bars(symbol) for symbol in symbols.split()}
    return ReplaySource("replay", bars, calendar, start, end, PER_BAR, seed)


def by_symbol(ticks: list[Tick]) -> dict[str, list[Tick]]:
    found: dict[str, list[Tick]] = defaultdict(list)
    for tick in ticks:
        found[tick.symbol].append(tick)
    return found


def test_ticks_give_the_bars_back(calendar: SessionCalendar) -> None:
    source: Source = replay(calendar)
    for symbol, ticks in by_symbol(list(source.ticks({}))).items():
        expected = packaged_bars(symbol).since(START).until(END)
        assert len(ticks) == len(expected) * PER_BAR
        for bar, group in zip(
            expected, groupby(ticks, lambda tick: calendar.session_of(tick.ts)), strict=True
        ):
            session, of_day = group[0], list(group[1])
            prices = [tick.price for tick in of_day]
            assert session == bar.session
            assert (of_day[0].ts, of_day[-1].ts) == calendar.open_close_ms(bar.session)
            assert (prices[0], max(prices), min(prices), prices[-1]) == (
                bar.open,
                bar.high,
                bar.low,
                bar.close,
            )
            assert sum(tick.volume for tick in of_day) == bar.volume


def test_ticks_come_by_time_and_are_numbered_per_symbol(calendar: SessionCalendar) -> None:
    ticks = list(replay(calendar).ticks({}))
    assert [tick.ts for tick in ticks] == sorted(tick.ts for tick in ticks)
    for of_symbol in by_symbol(ticks).values():
        assert [tick.seq for tick in of_symbol] == list(range(1, len(of_symbol) + 1))
        assert all(a.ts < b.ts for a, b in pairwise(of_symbol))
    assert {(tick.source, tick.session) for tick in ticks} == {("replay", MarketSession.REGULAR)}


def test_other_symbols_and_the_end_make_no_difference(calendar: SessionCalendar) -> None:
    alone = list(replay(calendar, "FB", end=None).ticks({}))
    together = by_symbol(list(replay(calendar, "MSFT FB AAPL GOOG").ticks({})))["FB"]
    assert alone[: len(together)] == together


def test_the_start_moves_the_numbers_only(calendar: SessionCalendar) -> None:
    whole = list(replay(calendar, "IBM").ticks({}))
    later = list(replay(calendar, "IBM", start=date(2012, 11, 26)).ticks({}))
    skipped = len(whole) - len(later)
    assert [(t.ts, t.price, t.volume, t.seq) for t in whole[skipped:]] == [
        (t.ts, t.price, t.volume, (t.seq or 0) + skipped) for t in later
    ]


def test_the_seed_changes_the_ticks(calendar: SessionCalendar) -> None:
    assert list(replay(calendar, seed=1).ticks({})) == list(replay(calendar, seed=1).ticks({}))
    assert list(replay(calendar, seed=1).ticks({})) != list(replay(calendar, seed=2).ticks({}))


@given(st.dictionaries(st.sampled_from(["AAPL", "FB", "IBM", "TSLA"]), st.integers(0, 10 * PER_BAR)))
def test_it_goes_on_after_any_numbers(calendar: SessionCalendar, after: dict[str, int]) -> None:
    source = replay(calendar)
    rest = [tick for tick in source.ticks({}) if (tick.seq or 0) > after.get(tick.symbol, 0)]
    assert list(source.ticks(after)) == rest


def test_an_exhausted_replay_ends(calendar: SessionCalendar) -> None:
    source = replay(calendar)
    assert list(source.ticks({symbol: source.last_number(symbol) for symbol in ("AAPL", "FB", "IBM")})) == []


def test_history_is_what_comes_before_the_start(calendar: SessionCalendar) -> None:
    source = replay(calendar, "IBM GOOG", start=date(2004, 8, 19))
    assert source.history("IBM") == packaged_bars("IBM").before(date(2004, 8, 19))
    assert source.history("GOOG") == BarSeries.empty()


def test_a_symbol_that_is_listed_later_joins_in(calendar: SessionCalendar) -> None:
    source = replay(calendar, "IBM GOOG", start=date(2004, 8, 17), end=date(2004, 8, 20))
    ticks = by_symbol(list(source.ticks({})))
    assert (len(ticks["IBM"]), len(ticks["GOOG"])) == (4 * PER_BAR, 2 * PER_BAR)
    assert ticks["GOOG"][0].seq == 1


def test_bars_of_days_without_trading_are_noticed(calendar: SessionCalendar) -> None:
    holiday = BarSeries.from_bars([Bar(15668, 1.0, 1.0, 1.0, 1.0, 1.0)])
    source = ReplaySource("replay", {"X": holiday}, calendar, START)
    with pytest.raises(ValueError, match="XNAS has no session on 2012-11-24"):
        list(source.ticks({}))
