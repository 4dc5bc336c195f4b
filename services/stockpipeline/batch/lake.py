"""The batch's files: one folder of Parquet, in parts that each hold all rows of some symbols.

    bars/part-07.parquet         symbol, session, open, high, low, close, volume: as traded
    actions/part-07.parquet      symbol, session, split, dividend (market.corporate_actions)
    indicators/part-07.parquet   symbol, session and every indicator's value, on the adjusted bars

A symbol's part follows from its name, so a part can be computed by itself, anywhere, in any order. Rows are
sorted by symbol and session. Files are written beside their name and renamed; the same rows give the same
bytes.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from zlib import crc32

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from stockpipeline.api import BAR_FIELDS
from stockpipeline.batch.whole_files import whole_file
from stockpipeline.market.bars import BarSeries
from stockpipeline.market.corporate_actions import CorporateAction

PARTS = 64
_AT_ONCE = 1 << 20
"""Rows of a page and of a step of writing: all of a part's."""

KEY_FIELDS = [("symbol", pa.string()), ("session", pa.date32())]
BARS = pa.schema(KEY_FIELDS + [(name, pa.float64()) for name in BAR_FIELDS])
ACTIONS = pa.schema([*KEY_FIELDS, ("split", pa.float64()), ("dividend", pa.float64())])


class BrokenPart(Exception):
    """A part whose rows are not what its folder holds; the message names the file."""


def part_of(symbol: str) -> int:
    """Return the number of the part, 0…PARTS-1, that has the symbol's rows."""
    return crc32(symbol.encode()) % PARTS


@dataclass(frozen=True)
class Lake:
    """Where the parts are; nothing need exist yet."""

    folder: Path

    def bars(self, part: int) -> Path:
        """The bars, as traded."""
        return self._part("bars", part)

    def actions(self, part: int) -> Path:
        """The splits and dividends."""
        return self._part("actions", part)

    def indicators(self, part: int) -> Path:
        """The indicators' values."""
        return self._part("indicators", part)

    def _part(self, kind: str, part: int) -> Path:
        return self.folder / kind / f"part-{part:02d}.parquet"


def write_part(path: Path, table: pa.Table, metadata: Mapping[str, str] | None = None) -> None:
    """Write a table as one file in one step, with text that belongs to it."""
    if metadata:
        table = table.replace_schema_metadata(metadata)
    # Prices hardly repeat: a dictionary of them, or compressing them, costs more than it saves. So do pages
    # and statistics of them, as whoever reads a column reads all of it.
    keys = [name for name, _ in KEY_FIELDS]
    with whole_file(path) as file:
        pq.write_table(
            table,
            file,
            use_dictionary=keys,
            write_statistics=keys,
            compression="NONE",
            write_batch_size=_AT_ONCE,
            max_rows_per_page=_AT_ONCE,
            data_page_size=_AT_ONCE * 8,
        )


def read_part(path: Path, schema: pa.Schema) -> pa.Table:
    """Return a part's rows, none where there is no file; raise ``BrokenPart``."""
    try:
        # Not `read_table`, which is for folders of files, and loads and does more than reading one.
        with pq.ParquetFile(path, memory_map=True) as file:
            table = file.read()
    except FileNotFoundError:
        return schema.empty_table()
    except (pa.ArrowInvalid, OSError) as error:
        raise BrokenPart(f"{path} cannot be read: {str(error).splitlines()[0]}; load it again") from error
    if not table.schema.equals(schema):
        raise BrokenPart(
            f"{path} has the columns {', '.join(table.schema.names)}, expected {', '.join(schema.names)}: "
            "it was made otherwise; make it again"
        )
    return table


def count_rows(path: Path) -> int:
    """Return the number of a part's rows, 0 where there is no file; raise ``BrokenPart``."""
    try:
        return int(pq.read_metadata(path).num_rows)
    except FileNotFoundError:
        return 0
    except (pa.ArrowInvalid, OSError) as error:
        raise BrokenPart(f"{path} cannot be read: {str(error).splitlines()[0]}; load it again") from error


def symbol_rows(table: pa.Table) -> Iterator[tuple[str, slice]]:
    """Yield each symbol and where its rows are, in a table that is sorted by symbol."""
    if not table.num_rows:
        return
    encoded = table.column("symbol").combine_chunks().dictionary_encode()
    codes = encoded.indices.to_numpy()
    names = encoded.dictionary.to_pylist()
    bounds = [0, *(np.flatnonzero(codes[1:] != codes[:-1]) + 1).tolist(), len(codes)]
    for start, end in pairwise(bounds):
        yield names[codes[start]], slice(start, end)


def series_of(table: pa.Table) -> Iterator[tuple[str, slice, BarSeries]]:
    """Yield each symbol of a part of bars, where its rows are, and its series.

    Raises:
        InvalidBars: rows that are none; the message begins with the symbol.
    """
    named = list(symbol_rows(table))
    columns = [float_column(table, name) for name in BAR_FIELDS]
    for (symbol, rows), series in zip(named, BarSeries.many(sessions_of(table), columns, named), strict=True):
        yield symbol, rows, series


def actions_of(table: pa.Table) -> dict[str, list[CorporateAction]]:
    """Return the actions of each symbol that has some, oldest first."""
    sessions = sessions_of(table).tolist()
    splits, dividends = (table.column(name).to_pylist() for name in ("split", "dividend"))
    return {
        symbol: [
            CorporateAction(*action)
            for action in zip(sessions[rows], splits[rows], dividends[rows], strict=True)
        ]
        for symbol, rows in symbol_rows(table)
    }


def bars_table(series: Mapping[str, BarSeries]) -> pa.Table:
    """Return the rows of a part of bars."""
    ordered = {symbol: series[symbol] for symbol in sorted(series) if len(series[symbol])}
    if not ordered:
        return BARS.empty_table()
    symbols = np.repeat(np.arange(len(ordered), dtype=np.int32), [len(one) for one in ordered.values()])
    names = pa.DictionaryArray.from_arrays(symbols, list(ordered)).cast(pa.string())
    sessions = pa.array(np.concatenate([one.sessions for one in ordered.values()])).cast(pa.date32())
    columns = [np.concatenate([getattr(one, name) for one in ordered.values()]) for name in BAR_FIELDS]
    return pa.table([names, sessions, *map(pa.array, columns)], schema=BARS)


def actions_table(actions: Mapping[str, list[CorporateAction]]) -> pa.Table:
    """Return the rows of a part of actions."""
    rows = [(symbol, *action) for symbol in sorted(actions) for action in sorted(actions[symbol])]
    columns: list[list[object]] = [list(column) for column in zip(*rows, strict=True)] or [[], [], [], []]
    symbols, sessions, *rest = columns
    dates = pa.array(sessions, pa.int32()).cast(pa.date32())
    return pa.table(
        [pa.array(symbols, pa.string()), dates, *(pa.array(column, pa.float64()) for column in rest)],
        schema=ACTIONS,
    )


def sessions_of(table: pa.Table) -> NDArray[np.int32]:
    """Return the sessions as numbers (see ``market.sessions``)."""
    found: NDArray[np.int32] = table.column("session").combine_chunks().cast(pa.int32()).to_numpy()
    return found


def float_column(table: pa.Table, name: str) -> NDArray[np.float64]:
    """Return a column of numbers, without a copy where it is in one piece."""
    found: NDArray[np.float64] = table.column(name).combine_chunks().to_numpy(zero_copy_only=False)
    return found
