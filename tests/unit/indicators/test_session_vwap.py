"""The average price of a session over intraday bars: by hand, in stream and batch, and in the detector."""

from __future__ import annotations

import math
from datetime import date

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stockpipeline.api import Indicator
from stockpipeline.indicators.engine import IndicatorEngine, Plan
from stockpipeline.indicators.series import series_values
from stockpipeline.market.bars import Bar, BarSeries
from stockpipeline.market.calendar import SessionCalendar
from stockpipeline.market.periods import Periods
from stockpipeline.market.sessions import session_from_date
from stockpipeline.market.ticks import MarketSession, Tick
from stockpipeline.signals.detector import Detector
from tests.unit.indicators.test_engine import fields

VWAP = Indicator(name="vwap", function="SESSION_VWAP")
# The second session is a half day, the third is in another week.
SESSIONS = [session_from_date(date(2024, 7, day)) for day in (2, 3, 5, 8)]
CALENDAR = SessionCalendar("XNYS")


def intraday(periods: Periods, sessions: list[int], seed: int = 1) -> BarSeries:
    """Random bars of whole sessions, some without volume."""
    random = np.random.default_rng(seed)
    bars = []
    for session in sessions:
        opens_ms, closes_ms = periods.calendar.open_close_ms(session)
        period = periods.at(opens_ms)
        while period is not None:
            low, first, last, high = np.sort(random.uniform(10, 20, 4)).tolist()
            bars.append(Bar(period.bar, first, high, low, last, float(random.integers(0, 5)) * 100))
            period = periods.at(period.closes_ms + 1) if period.closes_ms < closes_ms else None
    return BarSeries.from_bars(bars)


def by_hand(periods: Periods, bars: BarSeries, index: int) -> float:
    """The average over the bars of the same session up to this one."""
    session = periods.session_of(int(bars.sessions[index]))
    same = [bar for bar in bars[: index + 1] if periods.session_of(bar.session) == session]
    volume = sum(bar.volume for bar in same)
    return (
        sum((bar.high + bar.low + bar.close) / 3 * bar.volume for bar in same) / volume
        if volume
        else math.nan
    )


@pytest.mark.parametrize("minutes", [5, 30, 60])
def test_it_begins_anew_with_each_session(minutes: int) -> None:
    periods = Periods(CALENDAR, minutes)
    bars = intraday(periods, SESSIONS)
    plan = Plan([VWAP], periods.session_start)
    expected = [by_hand(periods, bars, index) for index in range(len(bars))]
    np.testing.assert_allclose(series_values(plan, bars)[0], expected, rtol=1e-14)
    assert sum(map(math.isnan, expected)) < len(SESSIONS) * 3


@given(st.integers(0, 48), st.integers(0, 10))
def test_stream_and_batch_agree_to_the_bit_wherever_history_begins_and_ends(split: int, skipped: int) -> None:
    periods = Periods(CALENDAR, 30)
    bars = intraday(periods, SESSIONS)[skipped:]
    plan = Plan([VWAP], periods.session_start)
    values = series_values(plan, bars)[0]
    engine = IndicatorEngine(plan, bars[:split])
    for index in range(split, len(bars)):
        bar = bars.bar(index)
        if engine.bars:
            engine.form(bar.session)
            np.testing.assert_equal(engine.peek(*fields(bar))[5], values[index])
        engine.commit(bar)
        np.testing.assert_equal(engine.past[0][5], values[index])


def test_a_session_whose_beginning_is_not_known_has_no_value() -> None:
    periods = Periods(CALENDAR, 30)
    bars = intraday(periods, SESSIONS[:2])[3:]
    values = series_values(Plan([VWAP], periods.session_start), bars)[0]
    of_first = [periods.session_of(bar.session) == SESSIONS[0] for bar in bars]
    assert np.isnan(values[of_first]).all()
    assert np.isfinite(values[np.logical_not(of_first)][-1])


def test_ticks_of_a_new_session_leave_the_one_before_behind() -> None:
    detector = Detector("default/demo", [VWAP], [], CALENDAR, 30)
    bars = intraday(Periods(CALENDAR, 30), SESSIONS[:1])
    detector.warm_up("AAPL", bars)
    opens_ms, _ = CALENDAR.open_close_ms(SESSIONS[1])

    def vwap_after(minutes: int, price: float, volume: int) -> float | None:
        at = opens_ms + minutes * 60_000
        detector.on_tick(Tick("AAPL", price, volume, at, "test", MarketSession.REGULAR))
        return detector.values("AAPL")["vwap"].value

    assert vwap_after(0, 10.0, 100) == 10.0
    assert vwap_after(1, 16.0, 100) == (16.0 + 10.0 + 16.0) / 3
    assert vwap_after(30, 20.0, 200) == pytest.approx((14.0 * 200 + 20.0 * 200) / 400)
