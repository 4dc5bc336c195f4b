"""Which partitions this detector owns, and how far it is with each of them. Knows nothing of Kafka."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from stockpipeline.adapters.kafka_partitioning import partition_of


@dataclass
class Progress:
    """How far an owned partition is; offsets as in Kafka, None while unknown."""

    restored: bool = False
    position: int | None = None
    """The offset of the next tick to process."""
    end: int | None = None
    """The offset after the last tick, when it was last asked for."""


class Assignment:
    """The partitions of the ticks topic that this detector owns.

    A partition comes unrestored: its symbols' history and state must be read before its first tick.
    """

    def __init__(self, symbols: Iterable[str], partitions: int) -> None:
        self.partition_of: dict[str, int] = {symbol: partition_of(symbol, partitions) for symbol in symbols}
        """Each symbol of the pipeline, owned or not, with its partition."""
        self._symbols: list[list[str]] = [[] for _ in range(partitions)]
        for symbol, partition in self.partition_of.items():
            self._symbols[partition].append(symbol)
        self._owned: dict[int, Progress] = {}

    def add(self, partitions: Iterable[int]) -> None:
        """Own these from now on, unrestored."""
        for partition in partitions:
            self._owned[partition] = Progress()

    def remove(self, partitions: Iterable[int]) -> None:
        """Own these no more."""
        for partition in partitions:
            self._owned.pop(partition, None)

    def forget_progress(self) -> None:
        """Have all owned partitions restored again, after an aborted transaction."""
        for partition in self._owned:
            self._owned[partition] = Progress()

    def found(self, partition: int, position: int, end: int) -> None:
        """Note where an unrestored partition will begin and where it ends."""
        self._owned[partition].position = position
        self._owned[partition].end = end

    def restored(self, partition: int) -> None:
        """Note that the state of the partition's symbols is complete."""
        self._owned[partition].restored = True

    def processed(self, positions: dict[int, int]) -> None:
        """Note the positions after ticks that were processed."""
        for partition, position in positions.items():
            self._owned[partition].position = position

    @property
    def owned(self) -> list[int]:
        """All owned partitions."""
        return sorted(self._owned)

    @property
    def active(self) -> list[int]:
        """The owned partitions that are restored."""
        return sorted(partition for partition, progress in self._owned.items() if progress.restored)

    @property
    def pending(self) -> list[int]:
        """The owned partitions that are not restored yet."""
        return sorted(partition for partition, progress in self._owned.items() if not progress.restored)

    @property
    def lag(self) -> int:
        """Ticks that wait in the owned partitions, as far as is known."""
        return sum(
            max(0, progress.end - progress.position)
            for progress in self._owned.values()
            if progress.position is not None and progress.end is not None
        )

    def grown(self, partition: int, end: int) -> None:
        """Note a newer end of a partition; an older or unknown (negative) one changes nothing."""
        progress = self._owned[partition]
        if progress.end is None or end > progress.end:
            progress.end = end

    def progress(self, partition: int) -> Progress:
        """Return how far an owned partition is."""
        return self._owned[partition]

    def symbols(self, partition: int) -> Sequence[str]:
        """Return the symbols whose ticks are in the partition."""
        return self._symbols[partition]
