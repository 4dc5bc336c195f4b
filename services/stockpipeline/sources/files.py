"""Market data that people keep in files: daily bars as CSV, ticks as JSON lines.

A file of bars is taken whole or not at all: a mistake in it is the user's, and names file, line and value. A
file of ticks is a recording of a topic, so what is no tick is told and passed over, as the detector does it.
"""

import csv
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import date
from math import inf
from pathlib import Path
from typing import IO, NamedTuple

from stockpipeline.api import BAR_FIELDS
from stockpipeline.market.bars import Bar, BarSeries
from stockpipeline.market.corporate_actions import CorporateAction
from stockpipeline.market.sessions import session_from_date
from stockpipeline.market.ticks import MalformedReason, MalformedTick, Tick, decode_tick

_COLUMNS = ("symbol", "date", *BAR_FIELDS)
_OPTIONAL_COLUMNS = ("split", "dividend")


class BadFile(ValueError):
    """A file that cannot be used; the message names the file and, where there is one, line and value."""


class BarFile(NamedTuple):
    """What a file of bars has of the symbols that were asked for."""

    series: Mapping[str, BarSeries]
    """As they stand in the file; a symbol without bars has an empty series."""
    actions: Mapping[str, tuple[CorporateAction, ...]]
    """Splits and dividends of each symbol, oldest first."""
    others: Counter[str]
    """Bars of symbols that were not asked for."""


def read_bars(path: Path, symbols: Iterable[str]) -> BarFile:
    """Read ``symbol,date,open,high,low,close,volume`` and, if there, ``split,dividend``; rows in any order.

    Raises:
        BadFile: the file cannot be read, or a row cannot be a bar.
    """
    bars: dict[str, dict[int, Bar]] = {symbol: {} for symbol in symbols}
    actions: dict[str, list[CorporateAction]] = {symbol: [] for symbol in symbols}
    others: Counter[str] = Counter()
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            for row in _rows(path, file):
                symbol = row.text("symbol")
                if symbol not in bars:
                    others[symbol] += 1
                    continue
                bar = row.bar()
                if bar.session in bars[symbol]:
                    raise row.error("date", f"{symbol} has a bar of this day already")
                bars[symbol][bar.session] = bar
                split, dividend = row.action("split") or 1.0, row.action("dividend")
                if (split, dividend) != (1.0, 0.0):
                    actions[symbol].append(CorporateAction(bar.session, split, dividend))
    except OSError as error:
        raise BadFile(f"{path}: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise BadFile(f"{path}: not UTF-8 text: {error.reason} at byte {error.start}") from error
    except csv.Error as error:
        raise BadFile(f"{path}: not CSV: {error}") from error
    return BarFile(
        {name: BarSeries.from_bars(found[day] for day in sorted(found)) for name, found in bars.items()},
        {name: tuple(sorted(found)) for name, found in actions.items()},
        others,
    )


class _Row(NamedTuple):
    """A row of bars, which knows where it stands."""

    path: Path
    line: int
    cells: Mapping[str, str]

    def error(self, column: str, message: str) -> BadFile:
        return BadFile(f'{self.path}, line {self.line}: {column} = "{self.cells[column]}": {message}')

    def text(self, column: str) -> str:
        return self.cells[column].strip()

    def number(self, column: str) -> float:
        try:
            return float(self.cells[column])
        except ValueError:
            raise self.error(column, "not a number") from None

    def bar(self) -> Bar:
        try:
            session = session_from_date(date.fromisoformat(self.text("date")))
        except ValueError:
            raise self.error("date", "not a date; write it as 2004-01-02") from None
        bar = Bar(session, *(self.number(field) for field in BAR_FIELDS))
        # Positive conditions: every comparison with NaN is false.
        for column, value in (("open", bar.open), ("close", bar.close), ("high", bar.high), ("low", bar.low)):
            if not 0.0 < value < inf:
                raise self.error(column, "a price must be more than 0")
        if not 0.0 <= bar.volume < inf:
            raise self.error("volume", "a volume must be 0 or more")
        if bar.low > min(bar.open, bar.close):
            raise self.error("low", f"above open {bar.open} or close {bar.close}")
        if bar.high < max(bar.open, bar.close):
            raise self.error("high", f"below open {bar.open} or close {bar.close}")
        return bar

    def action(self, column: str) -> float:
        """Return a split or a dividend; 0 where the column is missing or empty, as providers write it."""
        if not self.cells.get(column, "").strip():
            return 0.0
        value = self.number(column)
        if not 0.0 <= value < inf:
            raise self.error(column, f"a {column} must be 0 (none) or more")
        return value


def _rows(path: Path, file: IO[str]) -> Iterator[_Row]:
    reader = csv.reader(file)
    header = [name.strip().lower() for name in next(reader, [])]
    missing = [column for column in _COLUMNS if column not in header]
    if missing:
        raise BadFile(
            f"{path}, line 1: the columns {', '.join(missing)} are missing; a file of bars begins with "
            f"{','.join(_COLUMNS)} (and may have {','.join(_OPTIONAL_COLUMNS)})"
        )
    for cells in reader:
        if not cells:
            continue
        if len(cells) != len(header):
            raise BadFile(f"{path}, line {reader.line_num}: {len(cells)} cells, the header has {len(header)}")
        yield _Row(path, reader.line_num, dict(zip(header, cells, strict=True)))


class BadLine(NamedTuple):
    """A line that is no tick."""

    number: int
    reason: MalformedReason
    message: str


def read_ticks(
    path: Path, refuse: Callable[[BadLine], None], advance: Callable[[int], None]
) -> Iterator[Tick]:
    """Yield the ticks of a file, one a line in the topic's format; tell of the other lines, but for empty
    ones. ``advance`` is told the bytes of each line.

    Raises:
        BadFile: the file cannot be read.
    """
    try:
        with path.open("rb") as file:
            for number, line in enumerate(file, 1):
                advance(len(line))
                if line.isspace():
                    continue
                try:
                    yield decode_tick(line)
                except MalformedTick as malformed:
                    refuse(BadLine(number, malformed.reason, str(malformed)))
    except OSError as error:
        raise BadFile(f"{path}: {error.strerror}") from error
