"""What is wrong with downloaded bars: found, quarantined and reported, never repaired.

    missing-price    open, high, low, close or volume is not there
    zero-price       a price is zero or less; old data have such opens
    impossible-bar   high below low, open or close outside of them, a volume below zero, an infinite value
    duplicate        the session comes more than once: equal rows count once, different ones not at all
    no-session       the exchange was closed that day
    gap              sessions between two bars have none; nothing is quarantined

A quarantined row is in no series; its values are the detail of its problem.
"""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from stockpipeline.api import BAR_FIELDS
from stockpipeline.market.bars import BarSeries
from stockpipeline.market.sessions import session_iso

QUALITY = pa.schema(
    [
        ("session", pa.date32()),
        ("symbol", pa.string()),
        ("problem", pa.string()),
        ("detail", pa.string()),
    ]
)
"""The columns of the store's table of problems."""


class Problem(NamedTuple):
    """Something wrong with a symbol's session."""

    session: int
    symbol: str
    problem: str
    detail: str


class RawBars(NamedTuple):
    """Rows as they were downloaded, in any order: anything may be NaN, repeated, or nonsense."""

    sessions: NDArray[np.int32]
    columns: tuple[NDArray[np.float64], ...]
    """Open, high, low, close, volume."""


def inspect(symbol: str, raw: RawBars, trading: NDArray[np.int32]) -> tuple[BarSeries, list[Problem]]:
    """Return the bars that can be used, and all problems by session.

    ``trading`` are the exchange's sessions, in order, over at least the range of the bars.
    """
    order = np.argsort(raw.sessions, kind="stable")
    sessions = np.ascontiguousarray(raw.sessions[order], dtype=np.int32)
    columns = [np.asarray(column, dtype=np.float64)[order] for column in raw.columns]
    good = np.ones(len(sessions), dtype=bool)
    problems: list[Problem] = []

    def quarantine(found: NDArray[np.bool_], problem: str) -> None:
        for row in np.flatnonzero(found & good).tolist():
            values = ", ".join(
                f"{name} {column[row]:g}" for name, column in zip(BAR_FIELDS, columns, strict=True)
            )
            problems.append(Problem(int(sessions[row]), symbol, problem, values))
        good[found] = False

    for repeated in _repeated(sessions):
        rows = np.flatnonzero(sessions == repeated)
        values = {tuple(column[row] for column in columns) for row in rows}
        agree = len(values) == 1
        good[rows[1:] if agree else rows] = False
        detail = f"{len(rows)} rows, " + ("all the same" if agree else "which differ: none counts")
        problems.append(Problem(int(repeated), symbol, "duplicate", detail))
    quarantine(~np.isin(sessions, trading), "no-session")
    values_of = np.stack(columns)
    quarantine(np.any(np.isnan(values_of), axis=0), "missing-price")
    opened, high, low, close, volume = columns
    quarantine(np.minimum(np.minimum(opened, close), np.minimum(high, low)) <= 0, "zero-price")
    quarantine(
        (low > np.minimum(opened, close))
        | (high < np.maximum(opened, close))
        | (volume < 0)
        | np.any(np.isinf(values_of), axis=0),
        "impossible-bar",
    )
    series = BarSeries(sessions[good], *(column[good] for column in columns))
    problems += _gaps(symbol, series.sessions, trading)
    return series, sorted(problems)


def quality_table(problems: Iterable[Problem]) -> pa.Table:
    """Return problems as rows for the store; of one problem a session and symbol, which is all there can
    be.
    """
    rows: Sequence[Problem] = sorted(set(problems))
    return pa.table(
        [
            pa.array([row.session for row in rows], pa.int32()).cast(pa.date32()),
            *(pa.array([row[index] for row in rows], pa.string()) for index in (1, 2, 3)),
        ],
        schema=QUALITY,
    )


def problems_of(table: pa.Table) -> tuple[Problem, ...]:
    """Return problems that were written down as a table."""
    columns = [table.column("session").cast(pa.int32()), *(table.column(index) for index in (1, 2, 3))]
    return tuple(Problem(*row) for row in zip(*(column.to_pylist() for column in columns), strict=True))


def _repeated(sessions: NDArray[np.int32]) -> list[int]:
    found, counts = np.unique(sessions, return_counts=True)
    repeated: list[int] = found[counts > 1].tolist()
    return repeated


def _gaps(symbol: str, sessions: NDArray[np.int32], trading: NDArray[np.int32]) -> list[Problem]:
    """Return one problem for each run of sessions without a bar, at the first of them."""
    positions = np.searchsorted(trading, sessions)
    missing = np.diff(positions) - 1
    return [
        Problem(
            int(trading[positions[index] + 1]),
            symbol,
            "gap",
            f"{missing[index]} sessions without a bar, until {session_iso(int(sessions[index + 1]))}",
        )
        for index in np.flatnonzero(missing > 0).tolist()
    ]
