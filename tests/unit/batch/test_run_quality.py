"""A run is summed up in figures that say what was missing and what was wrong."""

from __future__ import annotations

from stockpipeline.batch.outcomes import Outcome
from stockpipeline.batch.quality import Problem
from stockpipeline.batch.run_quality import run_quality, runs_table


def test_outcomes_and_problems_are_counted_by_kind() -> None:
    outcomes = {"A": Outcome.OK, "B": Outcome.OK, "C": Outcome.RATE_LIMITED, "D": Outcome.DELISTED}
    problems = [Problem(3, "A", "gap", ""), Problem(4, "B", "gap", ""), Problem(4, "B", "zero-price", "")]
    found = run_quality(outcomes, problems, picks=1)
    assert found == {
        "symbols": 4,
        "coverage": 2 / 3,
        "outcome delisted": 1,
        "outcome ok": 2,
        "outcome rate-limited": 1,
        "problem gap": 2,
        "problem zero-price": 1,
        "watchlist": 1,
    }
    table = runs_table(15_765, found)
    assert [str(day) for day in set(table.column("session").to_pylist())] == ["2013-03-01"]
    assert (
        dict(zip(table.column("measure").to_pylist(), table.column("value").to_pylist(), strict=True))
        == found
    )
