"""Small masters whose content is known: after day n there are n sessions of the same symbols."""

from __future__ import annotations

from datetime import date, timedelta
from pathlib import Path

import duckdb
import pyarrow as pa

from stockpipeline.store.writer import Writer

SYMBOLS = 200
FIRST = date(2024, 1, 1)

Sums = tuple[int, int]
"""Rows of `bars`, and the sum of their closes in hundredths: what a reader can check by one query."""

SUMS_QUERY = "SELECT count(*), coalesce(sum((close * 100)::HUGEINT), 0) FROM bars"


def bars_of(day: int, symbols: int = SYMBOLS, offset: float = 0.0) -> pa.Table:
    """The bars of one session, different in each; `offset` makes another history of the same sessions."""
    closes = [100.0 + day + number % 50 + offset for number in range(symbols)]
    return pa.table(
        {
            "session": [FIRST + timedelta(days=day)] * symbols,
            "symbol": [f"S{number:04d}" for number in range(symbols)],
            "open": closes,
            "high": [close + 1 for close in closes],
            "low": [close - 1 for close in closes],
            "close": closes,
            "volume": [1000.0 + day] * symbols,
            "basis": ["adjusted"] * symbols,
        }
    )


def commit_day(master: Path, day: int, *, symbols: int = SYMBOLS, offset: float = 0.0) -> Sums:
    """Load one session, close the master, and return what it holds now."""
    with Writer(master) as writer:
        with writer.transaction(f"day-{day}") as load:
            load.load("bars", bars_of(day, symbols, offset))
        return _sums(writer._connection)


def sums_of(path: Path) -> Sums:
    """What a database file holds."""
    with duckdb.connect(str(path), read_only=True, config={"threads": 1}) as database:
        return _sums(database)


def _sums(database: duckdb.DuckDBPyConnection) -> Sums:
    rows, total = database.execute(SUMS_QUERY).fetchall()[0]
    return int(rows), int(total)
