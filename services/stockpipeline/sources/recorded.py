"""A recorded file of ticks, played as a source: what `producer --record` wrote, or any lines in the topic's
format."""

from collections import Counter
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path

import structlog
from msgspec.structs import replace

from stockpipeline.market.ticks import Tick
from stockpipeline.sources.files import BadLine, read_ticks

_log = structlog.get_logger()


class RecordedSource:
    """Plays the ticks of the symbols in the order of the file, under its own name.

    Each symbol's are numbered from 1 in that order, whatever number they had, so a number says where in the
    file a tick is.
    """

    def __init__(self, name: str, path: Path, symbols: Collection[str]) -> None:
        self.name = name
        self._path = path
        self._symbols = frozenset(symbols)

    def ticks(self, after: Mapping[str, int]) -> Iterator[Tick]:
        """Return the ticks, without those of a symbol up to the number in ``after``; lines that are none are
        logged and passed by.

        Raises:
            BadFile: the file cannot be read.
        """
        numbers: Counter[str] = Counter()
        for tick in read_ticks(self._path, self._refuse, lambda _bytes: None):
            if tick.symbol not in self._symbols:
                continue
            numbers[tick.symbol] += 1
            if numbers[tick.symbol] > after.get(tick.symbol, 0):
                yield replace(tick, source=self.name, seq=numbers[tick.symbol])

    def _refuse(self, line: BadLine) -> None:
        _log.warning("a line is no tick", file=str(self._path), line=line.number, why=line.message)
