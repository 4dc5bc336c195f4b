from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stockpipeline.market.bars import Bar, BarSeries
from stockpipeline.market.corporate_actions import (
    CorporateAction,
    ImpossibleAction,
    Rescaling,
    adjusted,
    rescale,
    rescale_bar,
)
from stockpipeline.market.packaged import packaged_bars
from stockpipeline.market.sessions import session_from_date


def series(*closes: float) -> BarSeries:
    return BarSeries.from_bars(Bar(day, c, c, c, c, 100.0) for day, c in enumerate(closes))


def test_a_split_divides_earlier_prices_and_multiplies_their_volumes() -> None:
    found = adjusted(series(100, 102, 51), [CorporateAction(2, split=2.0)])
    assert found.close.tolist() == [50, 51, 51]
    assert found.high.tolist() == [50, 51, 51]
    assert found.volume.tolist() == [200, 200, 100]


def test_a_dividend_keeps_returns_as_an_owner_had_them() -> None:
    # 100 → 98 with 2 paid: whoever held it lost nothing.
    found = adjusted(series(50, 100, 98), [CorporateAction(2, dividend=2.0)])
    assert found.close.tolist() == [49, 98, 98]
    assert found.volume.tolist() == [100, 100, 100]


def test_actions_add_up_and_count_from_their_day_even_without_a_bar_of_it() -> None:
    bars = BarSeries.from_bars(Bar(day, 8.0, 8.0, 8.0, 8.0, 1.0) for day in (0, 1, 4, 5))
    found = adjusted(bars, [CorporateAction(3, split=2.0), CorporateAction(5, split=2.0)])
    assert found.close.tolist() == [2, 2, 4, 8]
    assert adjusted(bars, [CorporateAction(0, split=2.0)]) == bars


@pytest.mark.parametrize(
    "action",
    [
        CorporateAction(1, split=0.0),
        CorporateAction(1, split=float("nan")),
        CorporateAction(1, split=-2.0),
        CorporateAction(1, dividend=10.0),
        CorporateAction(1, dividend=-1.0),
        CorporateAction(1, dividend=float("nan")),
    ],
)
def test_what_cannot_be_is_refused(action: CorporateAction) -> None:
    with pytest.raises(ImpossibleAction, match="on 1970-01-02 is impossible"):
        adjusted(series(10, 10), [action])


@given(st.sampled_from([0.1, 0.5, 1.5, 2.0, 3.0, 7.0]), st.integers(1, 250))
def test_adjusting_what_a_split_did_gives_the_series_back(split: float, day: int) -> None:
    whole = packaged_bars("IBM").since(date(2012, 1, 3))
    at = int(whole.sessions[day])
    before = [Bar(b.session, b.open * split, b.high * split, b.low * split, b.close * split, b.volume / split)
              for b in whole if b.session < at]  # fmt: skip
    raw = BarSeries.from_bars([*before, *(b for b in whole if b.session >= at)])
    found = adjusted(raw, [CorporateAction(at, split=split)])
    assert found.close == pytest.approx(whole.close)
    assert found.volume == pytest.approx(whole.volume)
    assert session_from_date(date(2012, 1, 3)) == whole.sessions[0]


@given(
    st.lists(
        st.builds(Rescaling, st.integers(12_000, 12_300), st.floats(0.01, 10.0), st.floats(0.1, 100.0)),
        max_size=4,
    )
)
def test_a_series_is_rescaled_as_its_bars_are_to_the_bit(changes: list[Rescaling]) -> None:
    bars = packaged_bars("AAPL").since(date(2002, 12, 2))[:200]
    assert rescale(bars, changes) == BarSeries.from_bars(rescale_bar(bar, changes) for bar in bars)
