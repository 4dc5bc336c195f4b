"""A progress bar on a terminal; elsewhere, such as in a log or a pipe, nothing."""

import time
from typing import TextIO

_CELLS = 30
_SECONDS_BETWEEN = 0.1


class ProgressBar:
    """Shows how much of ``total`` is done, with the rate of ``unit`` per second."""

    def __init__(self, total: int, unit: str, stream: TextIO) -> None:
        self._total = max(1, total)
        self._unit = unit
        self._stream = stream
        self._shown = stream.isatty()
        self._done = self._count = 0
        self._started = self._drawn = time.monotonic()

    def advance(self, done: int) -> None:
        """Note that so much more of the total is done."""
        self._done += done

    def count(self) -> None:
        """Note one more unit, and draw now and then."""
        self._count += 1
        if self._shown and not self._count % 256 and time.monotonic() - self._drawn >= _SECONDS_BETWEEN:
            self._draw()

    def clear(self) -> None:
        """Remove the bar, so that what comes next begins on an empty line."""
        if self._shown:
            self._stream.write("\r\x1b[K")
            self._stream.flush()

    def _draw(self) -> None:
        self._drawn = time.monotonic()
        part = min(1.0, self._done / self._total)
        filled = "█" * round(part * _CELLS)
        rate = self._count / max(1e-9, self._drawn - self._started)
        self._stream.write(
            f"\r\x1b[K{filled:·<{_CELLS}} {part:4.0%}  {self._count:,} {self._unit}  {rate:,.0f}/s"
        )
        self._stream.flush()
