"""A replay that loops: time and numbers go on, prices do not jump, and a restart finds its place."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, date, datetime
from itertools import islice, pairwise

from stockpipeline.market.calendar import SessionCalendar
from stockpipeline.market.packaged import packaged_bars
from stockpipeline.market.ticks import Tick
from stockpipeline.sources.replay import ReplaySource

CALENDAR = SessionCalendar("XNAS")
START, END = date(2012, 5, 15), date(2012, 5, 25)  # Facebook was first traded on the 18th
SESSIONS = len(CALENDAR.sessions_between(START, END))
LAPS = 5


def source(symbols: tuple[str, ...] = ("FB", "IBM"), *, loop: bool = True) -> ReplaySource:
    bars = {symbol: packaged_bars(symbol) for symbol in symbols}
    return ReplaySource("replay", bars, CALENDAR, START, END, 4, 1, loop=loop)


def ticks(of: ReplaySource, after: Mapping[str, int] | None = None) -> list[Tick]:
    return list(islice(of.ticks(after or {}), 2 * SESSIONS * 4 * LAPS))


def test_the_first_lap_is_that_of_a_replay_that_does_not_loop() -> None:
    once = list(source(loop=False).ticks({}))
    assert ticks(source())[: len(once)] == once


def test_time_and_numbers_go_on() -> None:
    played = ticks(source())
    assert all(before.ts <= after.ts for before, after in pairwise(played))
    for symbol in ("FB", "IBM"):
        mine = [tick for tick in played if tick.symbol == symbol]
        assert [tick.seq for tick in mine] == list(range(1, len(mine) + 1))
        assert all(CALENDAR.session_of(tick.ts) is not None for tick in mine)
        assert all(before.ts < after.ts for before, after in pairwise(mine))


def test_every_second_lap_runs_backwards_so_prices_never_jump_where_it_turns() -> None:
    mine = [tick for tick in ticks(source()) if tick.symbol == "IBM"]
    bars = [mine[place : place + 4] for place in range(0, len(mine), 4)]
    forwards, backwards, again = (bars[lap * SESSIONS : (lap + 1) * SESSIONS] for lap in range(3))
    closes = [bar[-1].price for bar in forwards]
    assert [bar[0].price for bar in backwards] == closes[::-1]
    assert [bar[-1].price for bar in again] == closes
    assert forwards[-1][-1].price == backwards[0][0].price
    assert backwards[-1][-1].price == again[0][0].price


def test_it_goes_on_after_any_numbers() -> None:
    everything = ticks(source())
    for sent in range(0, len(everything) // 2, 7):
        after = {tick.symbol: tick.seq or 0 for tick in everything[:sent]}
        rest = everything[sent:]
        assert list(islice(source().ticks(after), len(rest))) == rest


def test_a_share_plays_the_same_as_the_whole() -> None:
    alone = list(islice(source(("IBM",)).ticks({}), 100))
    assert alone == [tick for tick in ticks(source()) if tick.symbol == "IBM"][:100]


def test_it_ends_with_the_calendar() -> None:
    early = ReplaySource(
        "replay", {"IBM": packaged_bars("IBM")}, CALENDAR, date(2003, 1, 2), date(2013, 2, 28), 4, loop=True
    )
    last = 0
    for tick in early.ticks({"IBM": (early.last_number("IBM") * 4)}):
        last = tick.ts
    assert datetime.fromtimestamp(last / 1000, UTC).year == 2049
