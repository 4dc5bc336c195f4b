"""How good a session's run was, in figures: a few rows of the store for each night. Pure.

symbols             the stocks that the night was about
coverage            share of the active ones with a bar of the session, 0…1
outcome OUTCOME     stocks by what became of their download (outcomes.Outcome)
problem PROBLEM     problems by kind that were found in what was downloaded (quality)
watchlist           stocks that the scan picked
"""

from collections import Counter
from collections.abc import Iterable, Mapping

import pyarrow as pa

from stockpipeline.batch.outcomes import Outcome, coverage
from stockpipeline.batch.quality import Problem

RUNS = pa.schema([("session", pa.date32()), ("measure", pa.string()), ("value", pa.float64())])
"""The columns of the store's table of runs."""


def run_quality(outcomes: Mapping[str, Outcome], problems: Iterable[Problem], picks: int) -> dict[str, float]:
    """Return the measures of a run, by name; an outcome or a problem that nothing had is left out."""
    by_outcome = Counter(f"outcome {outcome}" for outcome in outcomes.values())
    by_problem = Counter(f"problem {one.problem}" for one in problems)
    return {
        "symbols": float(len(outcomes)),
        "coverage": coverage(outcomes),
        **{name: float(count) for name, count in sorted((by_outcome + by_problem).items())},
        "watchlist": float(picks),
    }


def runs_table(session: int, measures: Mapping[str, float]) -> pa.Table:
    """Return the rows for the store."""
    sessions = pa.array([session] * len(measures), pa.int32()).cast(pa.date32())
    names, values = pa.array(list(measures), pa.string()), pa.array(list(measures.values()), pa.float64())
    return pa.table([sessions, names, values], schema=RUNS)
