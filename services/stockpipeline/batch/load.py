"""A session's results to the store: bars, actions, indicators, watchlist, problems, in one transaction.

Bars are stored as traded and actions beside them, so that a dividend changes one row and not a symbol's whole
past. Indicators are stored as they were known on their session; those of all sessions are in the lake.
Loading twice, or a past session again, changes nothing that is already so.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from stockpipeline.api import Indicator
from stockpipeline.batch.compute import indicators_schema, value_fields
from stockpipeline.batch.lake import ACTIONS, BARS, KEY_FIELDS, PARTS, Lake, read_part
from stockpipeline.batch.quality import Problem, quality_table
from stockpipeline.batch.run_quality import runs_table
from stockpipeline.batch.watchlist import Pick, watchlist_table
from stockpipeline.indicators.engine import Plan
from stockpipeline.market.sessions import session_date, session_iso
from stockpipeline.store.deliveries import Deliveries, Delivery, Rows
from stockpipeline.store.writer import Writer

BASIS = "traded"
_INDICATORS = pa.schema([*KEY_FIELDS, ("name", pa.string()), ("value", pa.float64())])


@dataclass(frozen=True)
class Results:
    """What a run brings besides the lake."""

    watchlist: tuple[Pick, ...] = ()
    problems: tuple[Problem, ...] = ()
    measures: Mapping[str, float] = field(default_factory=dict)
    """How good the run was (run_quality)."""


@dataclass(frozen=True)
class Loaded:
    """Rows that were new, differed or are gone, by table."""

    bars: int
    actions: int
    indicators: int
    watchlist: int
    quality: int
    runs: int


def load_store(
    writer: Writer,
    lake: Lake,
    indicators: Iterable[Indicator],
    session: int,
    results: Results,
    *,
    since: int | None = None,
) -> Loaded:
    """Load a session's rows, and with ``since`` also the bars of all sessions from there on.

    Raises:
        BrokenPart: a part of the lake cannot be read; nothing is loaded.
        InvalidRows: rows come twice; likewise.
    """
    tables = rows_of(lake, indicators, session, results, since=since)
    with writer.transaction(batch_name(session)) as load:
        counts = {
            one.table: load.load(one.table, one.rows)
            if one.first is None or one.last is None
            else load.replace(one.table, one.rows, one.first, one.last)
            for one in tables
        }
    return Loaded(**counts)


def deliver(
    deliveries: Deliveries,
    lake: Lake,
    indicators: Iterable[Indicator],
    session: int,
    results: Results,
    *,
    since: int | None = None,
) -> Delivery:
    """Deliver what `load_store` loads to the service that holds the master; it loads it as one.

    Raises:
        BrokenPart: a part of the lake cannot be read; nothing is delivered.
        Unavailable: the object store does not answer; likewise.
    """
    tables = rows_of(lake, indicators, session, results, since=since)
    return deliveries.submit(batch_name(session), tables)


def batch_name(session: int) -> str:
    """Return what the transaction of a session is called."""
    return f"batch of {session_iso(session)}"


def rows_of(
    lake: Lake, indicators: Iterable[Indicator], session: int, results: Results, *, since: int | None = None
) -> list[Rows]:
    """Return what the store is to have; arguments and errors as of `load_store`."""
    plan = Plan(indicators)
    oldest = session if since is None else since
    first, until = session_iso(oldest), session_iso(session)
    bars = _gather(lake.bars, BARS, oldest, session)
    bars = bars.append_column("basis", pa.array([BASIS] * bars.num_rows, pa.string()))
    # An action counts from its session on, and may have been heard of late: all of them are compared.
    actions = _gather(lake.actions, ACTIONS, None, session)
    values = _gather(lake.indicators, indicators_schema(plan), session, session)
    return [
        Rows("bars", bars, first, until),
        Rows("actions", actions, "0001-01-01", until),
        Rows("indicators", _long(values, plan), until, until),
        Rows("watchlist", watchlist_table(session, results.watchlist), until, until),
        Rows("quality", quality_table(results.problems)),
        Rows("runs", runs_table(session, results.measures), until, until),
    ]


def _gather(path_of: Callable[[int], Path], schema: pa.Schema, first: int | None, last: int) -> pa.Table:
    """Return the rows of all parts from the session ``first`` (None: from the oldest) to ``last``."""
    tables = []
    for part in range(PARTS):
        table = read_part(path_of(part), schema)
        sessions = table.column("session")
        wanted = pc.less_equal(sessions, pa.scalar(session_date(last), pa.date32()))
        if first is not None:
            before = pa.scalar(session_date(first) - timedelta(days=1), pa.date32())
            wanted = pc.and_(wanted, pc.greater(sessions, before))
        tables.append(table.filter(wanted))
    return pa.concat_tables(tables)


def _long(values: pa.Table, plan: Plan) -> pa.Table:
    """Return one row for each value that is known."""
    tables = []
    for name, _ in value_fields(plan):
        column = values.column(name)
        table = pa.table(
            [
                values.column("symbol"),
                values.column("session"),
                pa.array([name] * values.num_rows, pa.string()),
                column,
            ],
            schema=_INDICATORS,
        )
        tables.append(table.filter(pc.is_finite(column)))
    return pa.concat_tables(tables) if tables else _INDICATORS.empty_table()
