"""Writes the ticks that are sent to a file, so that any live session can be replayed."""

from pathlib import Path
from types import TracebackType
from typing import Self

from stockpipeline.market.ticks import Tick, encode_tick


class Recorder:
    """Appends ticks as lines of JSON, in the topic's format: what `replay --ticks` and `producer --ticks`
    read."""

    def __init__(self, path: Path) -> None:
        self._file = path.open("ab")

    def record(self, tick: Tick) -> None:
        """Write one tick."""
        self._file.write(encode_tick(tick) + b"\n")

    def flush(self) -> None:
        """Bring what is written to the file."""
        self._file.flush()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()
