"""Masters of one table of daily bars (4,000 symbols), and a change: one more session."""

from __future__ import annotations

import time
from datetime import date, timedelta
from pathlib import Path

from stockpipeline.store.writer import Writer
from tests.integration.store.masters import bars_of

SYMBOLS = 4000
_PARTS = 10


def make(master: Path, rows: int) -> None:
    """Make a master whose bars end before day 1: prices that do not compress to nothing."""
    _make_at_random(master, rows // SYMBOLS)


def make_tenfold(master: Path, rows: int) -> None:
    """Make a master of ten parts with the same prices but for a factor: to draw all of them takes minutes."""
    small = master.with_name(f"part-{master.name}")
    make(small, rows // _PARTS)
    sessions = rows // _PARTS // SYMBOLS
    with Writer(master) as writer:
        writer._connection.execute(f"ATTACH '{small}' AS small (READ_ONLY)")
        for back in range(_PARTS - 1, -1, -1):
            factor = 1 + back / 1000
            prices = ", ".join(f"{name} * {factor}" for name in ("open", "high", "low", "close"))
            with writer.transaction(f"history, {back} parts before the last") as load:
                writer._connection.execute(
                    f"INSERT INTO bars SELECT session - {back * sessions}, symbol, {prices}, volume + {back},"
                    " basis FROM small.bars"
                )
                load.changed_rows += sessions * SYMBOLS
    small.unlink()


def _make_at_random(master: Path, sessions: int) -> None:
    with Writer(master) as writer, writer.transaction("history") as load:
        writer._connection.execute("SELECT setseed(0.5)")
        writer._connection.execute(
            f"INSERT INTO bars SELECT ?::DATE - ({sessions} - i // {SYMBOLS})::INTEGER,"
            f" 'S' || lpad((i % {SYMBOLS})::VARCHAR, 4, '0'), p, p + random(), p - random(),"
            " p + random() - 0.5, floor(random() * 1e7), 'adjusted'"
            f" FROM (SELECT i, 100 * random() + 50 AS p FROM range({sessions * SYMBOLS}) r(i))",
            [session(1)],
        )
        load.changed_rows += sessions * SYMBOLS


def commit(master: Path, day: int) -> float:
    """Load one more session; return the moment of the commit, before the checkpoint."""
    table = bars_of(day, SYMBOLS)
    with Writer(master) as writer:
        with writer.transaction(f"day-{day}") as load:
            load.load("bars", table)
        return time.monotonic()


def session(day: int) -> date:
    """Return the date of a day that is added, counted from 1."""
    return date(2024, 1, 1) + timedelta(days=day)


def median(values: list[float]) -> float:
    """Return the middle one."""
    return sorted(values)[len(values) // 2]
