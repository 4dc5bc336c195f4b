"""What the steps of one night leave for each other, beside the lake.

    nights/2026-11-20/symbols.jsonl       the stocks that the night is about, the largest first
    nights/2026-11-20/problems.parquet    what is wrong with what was downloaded (quality.QUALITY)
    nights/2026-11-20/watchlist.parquet   what the scan found (watchlist.WATCHLIST)

A file is there whole or not at all, and each step writes its own, so that any step can run again by itself.
"""

import json
from collections.abc import Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from stockpipeline.batch.lake import BrokenPart
from stockpipeline.batch.whole_files import whole_file
from stockpipeline.market.listing import Listed
from stockpipeline.market.sessions import session_iso


class StepMissing(Exception):
    """A step before this one has not run; the message names it."""


class NightFolder:
    """The files of one session's night; nothing need exist yet."""

    def __init__(self, folder: Path, session: int) -> None:
        self.session = session
        self._nights = folder / "nights"
        self._folder = self._nights / session_iso(session)
        self._symbols = self._folder / "symbols.jsonl"

    def write_symbols(self, symbols: Sequence[Listed]) -> None:
        """Keep the stocks of the night."""
        lines = (
            json.dumps({k: v for k, v in one._asdict().items() if v not in (None, "")}) for one in symbols
        )
        with whole_file(self._symbols) as file:
            file.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")

    def symbols(self) -> list[Listed]:
        """Return the stocks of the night; raise ``StepMissing``."""
        if not self._symbols.exists():
            raise StepMissing(f"{self._symbols} is not there: collect the symbols of the session first")
        return _read_symbols(self._symbols)

    def collected(self) -> bool:
        """Whether the night has its stocks."""
        return self._symbols.exists()

    def symbols_before(self) -> list[Listed]:
        """Return the stocks of the newest night before this one, none if there is none."""
        earlier = [
            path
            for path in sorted(self._nights.glob("*/symbols.jsonl"))
            if path.parent.name < session_iso(self.session)
        ]
        return _read_symbols(earlier[-1]) if earlier else []

    def write_problems(self, table: pa.Table) -> None:
        """Keep what is wrong with the downloads."""
        self._write("problems", table)

    def problems(self) -> pa.Table:
        """Return what is wrong with the downloads; raise ``StepMissing`` or ``BrokenPart``."""
        return self._read("problems", "merge the downloads")

    def write_watchlist(self, table: pa.Table) -> None:
        """Keep what the scan found."""
        self._write("watchlist", table)

    def watchlist(self) -> pa.Table:
        """Return what the scan found; raise ``StepMissing`` or ``BrokenPart``."""
        return self._read("watchlist", "scan the session")

    def _write(self, name: str, table: pa.Table) -> None:
        with whole_file(self._folder / f"{name}.parquet") as file:
            pq.write_table(table, file)

    def _read(self, name: str, step: str) -> pa.Table:
        path = self._folder / f"{name}.parquet"
        try:
            return pq.read_table(path)
        except FileNotFoundError:
            raise StepMissing(f"{path} is not there: {step} first") from None
        except (pa.ArrowInvalid, OSError) as error:
            raise BrokenPart(f"{path} cannot be read: {error}; {step} again") from error


def _read_symbols(path: Path) -> list[Listed]:
    try:
        return [Listed(**json.loads(line)) for line in path.read_text(encoding="utf-8").splitlines()]
    except (ValueError, TypeError) as error:
        raise BrokenPart(
            f"{path} cannot be read: {error}; delete it and collect the symbols again"
        ) from error
