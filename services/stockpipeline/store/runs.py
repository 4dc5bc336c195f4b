"""The batch's runs in the store: how good each session's was, in figures (`batch.run_quality` names them)."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date

import duckdb


@dataclass(frozen=True)
class RunFigures:
    """The figures of a session's run, by measure."""

    session: date
    measures: Mapping[str, float]


def newest_run(connection: duckdb.DuckDBPyConnection) -> RunFigures | None:
    """Return the figures of the newest session that an open master has such of; None where it has none."""
    rows = connection.execute(
        "SELECT session, measure, value FROM runs WHERE session = (SELECT max(session) FROM runs)"
    ).fetchall()
    return RunFigures(rows[0][0], {measure: value for _, measure, value in rows}) if rows else None
