from datetime import date
from hashlib import blake2b
from itertools import pairwise

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stockpipeline.market.bars import Bar
from stockpipeline.market.packaged import packaged_bars
from stockpipeline.market.sessions import session_from_date
from stockpipeline.sources.bridge import PRICE_DECIMALS, Path, bridge

OPENS, CLOSES = 1_221_485_400_000, 1_221_508_800_000


@st.composite
def bars(draw: st.DrawFn) -> Bar:
    """Bars with any number of decimals, also without a range."""
    low, a, b, high = sorted(draw(st.lists(st.floats(0.01, 10_000), min_size=4, max_size=4)))
    if draw(st.booleans()):
        low, a, b, high = (round(price, PRICE_DECIMALS) for price in (low, a, b, high))
    if draw(st.integers(0, 9)) == 0:
        low = a = b = high
    open_, close = draw(st.permutations([a, b]))
    return Bar(draw(st.integers(0, 20_000)), open_, high, low, close, float(draw(st.integers(0, 10**10))))


@given(bars(), st.integers(4, 300), st.integers(0, 2**31 - 1))
def test_the_ticks_make_up_the_bar(bar: Bar, count: int, seed: int) -> None:
    path = bridge(bar, "AAPL", OPENS, CLOSES, count, seed)
    assert len(path.ts) == len(path.prices) == len(path.volumes) == count
    assert (path.prices[0], path.prices[-1]) == (bar.open, bar.close)
    assert (min(path.prices), max(path.prices)) == (bar.low, bar.high)
    assert sum(path.volumes) == bar.volume
    assert all(volume >= 0 and volume.is_integer() for volume in path.volumes)
    assert all(
        price in (bar.open, bar.high, bar.low, bar.close) or price == round(price, 4) for price in path.prices
    )
    assert (path.ts[0], path.ts[-1]) == (OPENS, CLOSES)
    assert all(earlier < later for earlier, later in pairwise(path.ts))


@given(bars(), st.integers(4, 50))
def test_high_and_low_are_touched_between_the_first_and_the_last_tick(bar: Bar, count: int) -> None:
    inner = bridge(bar, "AAPL", OPENS, CLOSES, count, 1).prices[1:-1]
    assert bar.high in inner
    assert bar.low in inner


def test_the_densest_session_has_a_tick_in_each_hundredth_of_a_second() -> None:
    bar = packaged_bars("IBM").bar(0)
    closes, most = OPENS + 60_000, 6_000
    path = bridge(bar, "IBM", OPENS, closes, most, 1)
    assert all(earlier < later for earlier, later in pairwise(path.ts))
    for count in (3, most + 1):
        with pytest.raises(ValueError, match=f"a session can have 4 to {most} ticks, not {count}"):
            bridge(bar, "IBM", OPENS, closes, count, 1)


def test_seed_symbol_and_session_change_the_path_and_nothing_else_does() -> None:
    bar = packaged_bars("IBM").bar(0)
    path = bridge(bar, "IBM", OPENS, CLOSES, 50, 1)
    assert bridge(bar, "IBM", OPENS, CLOSES, 50, 1) == path
    another_day = msgspec.structs.replace(bar, session=bar.session + 1)
    for other in (
        bridge(bar, "AAPL", OPENS, CLOSES, 50, 1),
        bridge(bar, "IBM", OPENS, CLOSES, 50, 2),
        bridge(another_day, "IBM", OPENS, CLOSES, 50, 1),
    ):
        assert other.prices != path.prices
        assert other.volumes != path.volumes


def test_the_path_is_the_same_on_every_machine() -> None:
    series = packaged_bars("AAPL")
    bar = next(bar for bar in series if bar.session == session_from_date(date(2008, 9, 15)))
    path: Path = bridge(bar, "AAPL", OPENS, CLOSES, 100, 1)
    assert blake2b(repr(path).encode(), digest_size=8).hexdigest() == "72d47b7014346bc9"


def test_the_walk_is_rough_but_does_not_stick_to_high_and_low() -> None:
    series = packaged_bars("AAPL")[2000:2100]
    paths = [(bar, bridge(bar, "AAPL", OPENS, CLOSES, 100, 1).prices) for bar in series]
    at_the_edge = sum(price in (bar.high, bar.low) for bar, prices in paths for price in prices)
    moves = sum(a != b for _, prices in paths for a, b in pairwise(prices))
    assert at_the_edge / (100 * len(paths)) < 0.15
    assert moves / (99 * len(paths)) > 0.9
