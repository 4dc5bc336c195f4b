"""Problems of downloaded bars are found and named, and only the bars that have one are left out."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stockpipeline.batch.quality import Problem, RawBars, inspect, quality_table

TRADING = np.array([10, 11, 12, 15, 16, 17, 18], dtype=np.int32)
GOOD = (5.0, 6.0, 4.0, 5.5, 100.0)


def raw(*rows: tuple[int, tuple[float, ...]]) -> RawBars:
    sessions = np.array([session for session, _ in rows], dtype=np.int32)
    columns = np.array([values for _, values in rows], dtype=np.float64).reshape(len(rows), 5).T
    return RawBars(sessions, tuple(columns))


@pytest.mark.parametrize(
    ("values", "problem", "detail"),
    [
        ((5, 6, 4, math.nan, 100), "missing-price", "open 5, high 6, low 4, close nan, volume 100"),
        ((5, 6, 4, 5.5, math.nan), "missing-price", "open 5, high 6, low 4, close 5.5, volume nan"),
        ((0, 6, 4, 5.5, 100), "zero-price", "open 0, high 6, low 4, close 5.5, volume 100"),
        ((5, 6, -4, 5.5, 100), "zero-price", "open 5, high 6, low -4, close 5.5, volume 100"),
        ((5, 4, 6, 5.5, 100), "impossible-bar", "open 5, high 4, low 6, close 5.5, volume 100"),
        ((7, 6, 4, 5.5, 100), "impossible-bar", "open 7, high 6, low 4, close 5.5, volume 100"),
        ((5, 6, 4, 5.5, -1), "impossible-bar", "open 5, high 6, low 4, close 5.5, volume -1"),
        ((5, math.inf, 4, 5.5, 1), "impossible-bar", "open 5, high inf, low 4, close 5.5, volume 1"),
    ],
)
def test_a_bad_bar_is_left_out_and_its_values_reported(
    values: tuple[float, ...], problem: str, detail: str
) -> None:
    series, problems = inspect("ACME", raw((10, GOOD), (11, values), (12, GOOD)), TRADING)
    assert series.sessions.tolist() == [10, 12]
    gap = Problem(11, "ACME", "gap", "1 sessions without a bar, until 1970-01-13")
    assert problems == sorted([Problem(11, "ACME", problem, detail), gap])


def test_equal_rows_of_a_session_count_once_different_ones_not_at_all() -> None:
    other = (5.0, 6.0, 4.0, 5.6, 100.0)
    rows = raw((10, GOOD), (11, GOOD), (11, GOOD), (12, GOOD), (12, other), (15, GOOD))
    series, problems = inspect("ACME", rows, TRADING)
    assert series.sessions.tolist() == [10, 11, 15]
    assert [(one.session, one.problem, one.detail) for one in problems] == [
        (11, "duplicate", "2 rows, all the same"),
        (12, "duplicate", "2 rows, which differ: none counts"),
        (12, "gap", "1 sessions without a bar, until 1970-01-16"),
    ]


def test_a_weekend_is_no_gap_and_a_bar_on_it_no_bar() -> None:
    series, problems = inspect("ACME", raw((15, GOOD), (13, GOOD), (12, GOOD)), TRADING)
    assert series.sessions.tolist() == [12, 15]
    assert [(one.session, one.problem) for one in problems] == [(13, "no-session")]


def test_gaps_are_told_once_each() -> None:
    series, problems = inspect("ACME", raw((10, GOOD), (15, GOOD), (18, GOOD)), TRADING)
    assert len(series) == 3
    assert [(one.session, one.problem, one.detail) for one in problems] == [
        (11, "gap", "2 sessions without a bar, until 1970-01-16"),
        (16, "gap", "2 sessions without a bar, until 1970-01-19"),
    ]


def test_no_rows_are_no_problem() -> None:
    series, problems = inspect("ACME", raw(), TRADING)
    assert len(series) == 0
    assert problems == []
    assert quality_table(problems).num_rows == 0


numbers = st.sampled_from([4.0, 5.0, 6.0, 0.0, -1.0, math.nan, math.inf])


@given(st.lists(st.tuples(st.integers(9, 19), st.tuples(*[numbers] * 5)), max_size=12))
def test_whatever_comes_each_session_is_used_or_explained_and_the_order_does_not_matter(
    rows: list[tuple[int, tuple[float, ...]]],
) -> None:
    series, problems = inspect("ACME", raw(*rows), TRADING)
    used = set(series.sessions.tolist())
    explained = {one.session for one in problems if one.problem != "gap"}
    assert used | explained == {session for session, _ in rows}
    assert used & explained <= {one.session for one in problems if one.detail.endswith("all the same")}
    shuffled_series, shuffled = inspect("ACME", raw(*reversed(rows)), TRADING)
    assert shuffled_series == series
    assert json.dumps(shuffled) == json.dumps(problems)
