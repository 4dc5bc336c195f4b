from datetime import date

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stockpipeline.api import BAR_FIELDS
from stockpipeline.market.bars import Bar, BarSeries, InvalidBars
from stockpipeline.market.sessions import session_date, session_from_date, session_iso


@st.composite
def bars(draw: st.DrawFn, session: int) -> Bar:
    low, a, b, high = sorted(draw(st.lists(st.floats(0.01, 1e6), min_size=4, max_size=4)))
    open_, close = draw(st.permutations([a, b]))
    return Bar(session, open_, high, low, close, draw(st.floats(0, 1e12)))


@st.composite
def series(draw: st.DrawFn) -> BarSeries:
    sessions = sorted(draw(st.sets(st.integers(0, 40_000), max_size=20)))
    return BarSeries.from_bars([draw(bars(session)) for session in sessions])


def a_series(count: int = 3) -> BarSeries:
    return BarSeries.from_bars([Bar(100 + i, 10.0, 12.0, 9.0, 11.0, 1000.0) for i in range(count)])


@given(series())
def test_a_series_survives_its_binary_form(original: BarSeries) -> None:
    decoded = BarSeries.decode(original.encode())
    assert decoded == original
    assert list(decoded) == list(original)
    assert decoded.digest() == original.digest()


@given(series(), st.binary(max_size=60))
def test_broken_bytes_are_refused(original: BarSeries, junk: bytes) -> None:
    data = original.encode()
    for broken in (junk, data + junk[:1] + b"x", data[:-1], data[: len(data) // 2]):
        with pytest.raises(InvalidBars):
            BarSeries.decode(broken)


def test_the_digest_sees_every_field() -> None:
    digests = {a_series().digest()}
    for change in (
        {"session": 200},
        {"open": 10.5},
        {"high": 12.5},
        {"low": 8.5},
        {"close": 11.5},
        {"volume": 1001.0},
    ):
        *rest, last = a_series()
        values = {name: getattr(last, name) for name in Bar.__struct_fields__} | change
        digests.add(BarSeries.from_bars([*rest, Bar(**values)]).digest())
    assert len(digests) == 7


@pytest.mark.parametrize(
    "bad",
    [
        Bar(103, 10.0, 12.0, 0.0, 11.0, 1.0),
        Bar(103, 10.0, 12.0, -1.0, 11.0, 1.0),
        Bar(103, 10.0, 10.5, 9.0, 11.0, 1.0),
        Bar(103, 8.0, 12.0, 9.0, 11.0, 1.0),
        Bar(103, float("nan"), 12.0, 9.0, 11.0, 1.0),
        Bar(103, 10.0, float("inf"), 9.0, 11.0, 1.0),
        Bar(103, 10.0, 12.0, 9.0, 11.0, -1.0),
        Bar(103, 10.0, 12.0, 9.0, 11.0, float("nan")),
    ],
)
def test_an_impossible_bar_is_refused_by_date(bad: Bar) -> None:
    with pytest.raises(InvalidBars, match=session_iso(103)):
        BarSeries.from_bars([*a_series(), bad])


@pytest.mark.parametrize("session", [99, 102])
def test_sessions_must_increase(session: int) -> None:
    with pytest.raises(InvalidBars, match="does not come after"):
        BarSeries.from_bars([*a_series(), Bar(session, 10.0, 12.0, 9.0, 11.0, 1.0)])


def test_columns_must_be_of_one_length() -> None:
    column = np.ones(2)
    with pytest.raises(InvalidBars, match="columns"):
        BarSeries(np.array([1, 2, 3], dtype=np.int32), column, column, column, column, column)


def test_columns_cannot_be_written() -> None:
    with pytest.raises(ValueError, match="read-only"):
        a_series().close[0] = 1.0


def test_slices_by_date() -> None:
    series = a_series(5)
    day = session_date(102)
    assert [bar.session for bar in series.before(day)] == [100, 101]
    assert [bar.session for bar in series.since(day)] == [102, 103, 104]
    assert [bar.session for bar in series.until(day)] == [100, 101, 102]
    assert [bar.session for bar in series.last(2)] == [103, 104]
    assert len(series.last(99)) == 5
    assert series.before(date(1970, 1, 1)) == BarSeries.empty()
    assert series.bar(-1).session == 104


@given(st.dates(date(1900, 1, 1), date(2100, 1, 1)))
def test_session_numbers_are_days(day: date) -> None:
    assert session_date(session_from_date(day)) == day
    assert session_iso(session_from_date(day)) == day.isoformat()


def columns_of(*series: BarSeries) -> tuple[np.ndarray, list[np.ndarray], list[tuple[str, slice]]]:
    ends = np.cumsum([0, *map(len, series)]).tolist()
    named = [(f"S{number}", slice(*ends[number : number + 2])) for number in range(len(series))]
    columns = [np.concatenate([getattr(one, field) for one in series]) for field in BAR_FIELDS]
    return np.concatenate([one.sessions for one in series]), columns, named


def test_many_series_are_those_of_their_rows() -> None:
    every = [a_series(3), a_series(1), a_series(5)]
    assert BarSeries.many(*columns_of(*every)) == every
    assert BarSeries.many(*columns_of(a_series(0))) == [a_series(0)]


def test_the_one_of_many_that_is_none_is_named() -> None:
    sessions, columns, named = columns_of(a_series(3), a_series(3))
    sessions[5] = sessions[4]
    with pytest.raises(InvalidBars, match=r"S1: the bar of .* does not come after"):
        BarSeries.many(sessions, columns, named)
    sessions, columns, named = columns_of(a_series(3), a_series(3))
    columns[2][1] = -1.0
    with pytest.raises(InvalidBars, match=r"S0: the bar of .* must have"):
        BarSeries.many(sessions, columns, named)
