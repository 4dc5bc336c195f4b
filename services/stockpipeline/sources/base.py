"""What a source of market data is."""

from collections.abc import Iterator, Mapping
from typing import Protocol

from stockpipeline.market.ticks import Tick


class Source(Protocol):
    """A source of ticks under the name it has in the pipeline.

    Ticks come in the order of their event times, each symbol's numbered from 1 (``Tick.seq``).
    """

    @property
    def name(self) -> str:
        """The name in the pipeline, as in ``Tick.source``."""

    def ticks(self, after: Mapping[str, int]) -> Iterator[Tick]:
        """Return the ticks, without those of a symbol up to the number in ``after``.

        So a producer that knows the last number it delivered goes on without a gap or a duplicate. The
        iterator ends when the source is exhausted.
        """
