"""What was downloaded for a session, in files that are written once; a run that was killed goes on.

    downloads/2026-11-20/BATCH-00000.parquet    one row a symbol: outcome, rows as traded, actions

A file holds the symbols of one stretch of the download. It is there whole or not at all, so that a kill costs
no more than one stretch, and a symbol that is in one is not asked for again on that session, unless its
outcome was one that passes: a rate limit, an error.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from stockpipeline.api import BAR_FIELDS
from stockpipeline.batch.lake import BrokenPart
from stockpipeline.batch.outcomes import Outcome
from stockpipeline.batch.quality import RawBars
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
_PASSING = frozenset((Outcome.RATE_LIMITED, Outcome.ERROR))


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
        self._folder.mkdir(parents=True, exist_ok=True)
        number = len(list(self._folder.glob(f"{batch}-*.parquet")))
        path = self._folder / f"{batch}-{number:05d}.parquet"
        temporary = path.with_suffix(".writing")
        pq.write_table(_table(downloads), temporary, compression="zstd")
        temporary.replace(path)
        return path

    def read(self) -> dict[str, Download]:
        """Return the newest download of each symbol.

        Raises:
            BrokenPart: a file cannot be read; the message names it.
        """
        found: dict[str, Download] = {}
        for path in sorted(self._folder.glob("*.parquet"), key=_number):
            try:
                table = pq.read_table(path)
            except (pa.ArrowInvalid, OSError) as error:
                raise BrokenPart(f"{path} cannot be read: {error}; delete it and download again") from error
            found.update((download.symbol, download) for download in _downloads(table))
        return found

    def settled(self) -> dict[str, Outcome]:
        """Return the outcomes that need not be tried again on this session."""
        return {
            symbol: download.outcome
            for symbol, download in self.read().items()
            if download.outcome not in _PASSING
        }


def _number(path: Path) -> tuple[int, str]:
    return int(path.stem.rsplit("-", 1)[1]), path.name


def _table(downloads: Sequence[Download]) -> pa.Table:
    rows = [
        {
            "symbol": one.symbol,
            "outcome": str(one.outcome),
            "detail": one.detail,
            "whole": one.whole,
            "sessions": one.raw.sessions.tolist(),
            **{name: column.tolist() for name, column in zip(BAR_FIELDS, one.raw.columns, strict=True)},
            "action_sessions": [action.session for action in one.actions],
            "splits": [action.split for action in one.actions],
            "dividends": [action.dividend for action in one.actions],
        }
        for one in downloads
    ]
    return pa.Table.from_pylist(rows, schema=_SCHEMA)


def _downloads(table: pa.Table) -> Iterator[Download]:
    for row in table.to_pylist():
        actions = zip(row["action_sessions"], row["splits"], row["dividends"], strict=True)
        yield Download(
            row["symbol"],
            Outcome(row["outcome"]),
            row["detail"],
            row["whole"],
            RawBars(
                np.array(row["sessions"], dtype=np.int32),
                tuple(np.array(row[name], dtype=np.float64) for name in BAR_FIELDS),
            ),
            tuple(CorporateAction(*action) for action in actions),
        )
