"""What was downloaded for a session, in files that are written once; a run that was killed goes on.

    downloads/2026-11-20/BATCH-00000.parquet    one row a symbol: outcome, rows as traded, actions

A file holds the symbols of one stretch of the download. It is there whole or not at all, so that a kill costs
no more than one stretch, and a symbol that is in one is not asked for again on that session, unless its
outcome was one that passes: a rate limit, an error.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from stockpipeline.api import BAR_FIELDS
from stockpipeline.batch.lake import BrokenPart
from stockpipeline.batch.outcomes import Outcome
from stockpipeline.batch.quality import RawBars
from stockpipeline.batch.whole_files import whole_file
from stockpipeline.market.corporate_actions import CorporateAction
from stockpipeline.market.sessions import session_iso

_FLOATS = pa.list_(pa.float64())
_SESSIONS = pa.list_(pa.int32())
_SCHEMA = pa.schema(
    [
        ("symbol", pa.string()),
        ("outcome", pa.string()),
        ("detail", pa.string()),
        ("whole", pa.bool_()),
        ("sessions", _SESSIONS),
        *((name, _FLOATS) for name in BAR_FIELDS),
        ("action_sessions", _SESSIONS),
        ("splits", _FLOATS),
        ("dividends", _FLOATS),
    ]
)
PASSING = frozenset((Outcome.RATE_LIMITED, Outcome.ERROR))
"""Outcomes that may be better when the symbol is asked for again."""


def no_rows() -> RawBars:
    """Return rows of nothing."""
    return RawBars(np.array([], dtype=np.int32), (np.array([]),) * len(BAR_FIELDS))


@dataclass(frozen=True)
class Download:
    """What came of one symbol; ``whole`` says that the rows are all of its past, not what is new."""

    symbol: str
    outcome: Outcome
    detail: str = ""
    whole: bool = False
    raw: RawBars = field(default_factory=no_rows)
    actions: tuple[CorporateAction, ...] = ()


class DownloadFolder:
    """The files of one session."""

    def __init__(self, folder: Path, session: int) -> None:
        self._folder = folder / "downloads" / session_iso(session)

    def write(self, batch: str, downloads: Sequence[Download]) -> Path:
        """Add a file; ``batch`` names who writes, of whom no two write at once."""
        number = len(list(self._folder.glob(f"{batch}-*.parquet")))
        path = self._folder / f"{batch}-{number:05d}.parquet"
        with whole_file(path) as file:
            pq.write_table(_table(downloads), file, compression="zstd")
        return path

    def read(self) -> dict[str, Download]:
        """Return the newest download of each symbol.

        Raises:
            BrokenPart: a file cannot be read; the message names it.
        """
        found: dict[str, Download] = {}
        for table in self._tables():
            found.update((download.symbol, download) for download in _downloads(table))
        return found

    def outcomes(self) -> dict[str, Outcome]:
        """Return the newest outcome of each symbol; raises as ``read``."""
        found: dict[str, Outcome] = {}
        for table in self._tables(["symbol", "outcome"]):
            outcomes = (Outcome(outcome) for outcome in table.column("outcome").to_pylist())
            found.update(zip(table.column("symbol").to_pylist(), outcomes, strict=True))
        return found

    def settled(self) -> dict[str, Outcome]:
        """Return the outcomes that need not be tried again on this session."""
        return {symbol: one for symbol, one in self.outcomes().items() if one not in PASSING}

    def _tables(self, columns: list[str] | None = None) -> Iterator[pa.Table]:
        """Yield the files, the oldest first."""
        for path in sorted(self._folder.glob("*.parquet"), key=_number):
            try:
                yield pq.read_table(path, columns=columns)
            except (pa.ArrowInvalid, OSError) as error:
                raise BrokenPart(f"{path} cannot be read: {error}; delete it and download again") from error


def known_gone(folder: Path, session: int, days: int) -> dict[str, int]:
    """Return the symbols that no source knew when asked in the ``days`` before a session, with when.

    A dead symbol costs more time than any other, so it is asked for again only from time to time. What a
    night leaves out it does not write down: it stays known as gone from when it was asked.
    """
    found: dict[str, int] = {}
    for before in range(session - days, session):
        for symbol, outcome in DownloadFolder(folder, before).outcomes().items():
            if outcome is Outcome.DELISTED:
                found[symbol] = before
            else:
                found.pop(symbol, None)
    return found


def _number(path: Path) -> tuple[int, str]:
    return int(path.stem.rsplit("-", 1)[1]), path.name


def _table(downloads: Sequence[Download]) -> pa.Table:
    columns: dict[str, list[Any]] = {
        "symbol": [one.symbol for one in downloads],
        "outcome": [str(one.outcome) for one in downloads],
        "detail": [one.detail for one in downloads],
        "whole": [one.whole for one in downloads],
        "sessions": [one.raw.sessions for one in downloads],
        "action_sessions": [[action.session for action in one.actions] for one in downloads],
        "splits": [[action.split for action in one.actions] for one in downloads],
        "dividends": [[action.dividend for action in one.actions] for one in downloads],
    }
    for index, name in enumerate(BAR_FIELDS):
        columns[name] = [one.raw.columns[index] for one in downloads]
    return pa.table([pa.array(columns[field.name], field.type) for field in _SCHEMA], schema=_SCHEMA)


def _downloads(table: pa.Table) -> Iterator[Download]:
    symbols, outcomes, details, whole = (
        table.column(name).to_pylist() for name in ("symbol", "outcome", "detail", "whole")
    )
    sessions = list(_lists(table, "sessions"))
    bars = zip(*(_lists(table, name) for name in BAR_FIELDS), strict=True)
    actions = zip(*(_lists(table, name) for name in ("action_sessions", "splits", "dividends")), strict=True)
    for row, (columns, of_actions) in enumerate(zip(bars, actions, strict=True)):
        yield Download(
            symbols[row],
            Outcome(outcomes[row]),
            details[row],
            whole[row],
            RawBars(sessions[row], columns),
            tuple(CorporateAction(*one) for one in zip(*(c.tolist() for c in of_actions), strict=True)),
        )


def _lists(table: pa.Table, name: str) -> Iterator[NDArray[Any]]:
    """Yield the numbers of each row of a column of lists, without a Python object for each."""
    column = table.column(name).combine_chunks()
    values, offsets = column.values.to_numpy(zero_copy_only=False), column.offsets.to_numpy().tolist()
    for start, end in pairwise(offsets):
        yield values[start:end]
