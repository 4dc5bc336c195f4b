"""What the next commit has of each symbol that changed, and how far ticks are processed.

A symbol's records go to the partition with the number of its ticks' partition, whatever their key: whoever
owns the ticks of a symbol finds all of its state by that number. A partition's offset is written after all
of its symbols that changed, so that state and offset are of the same moment.
"""

from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping

from stockpipeline.adapters.kafka_transactions import KeepWaiting, TransactionalProducer
from stockpipeline.detector.checkpoint import KEY, encode_checkpoint
from stockpipeline.detector.performance import NOT_JUDGED, Performance
from stockpipeline.signals.state import StateRecord

_STEPS = 10
"""Of a partition, at most, if nothing changes meanwhile."""


class StateWriter:
    """Gathers what changed, and writes it into an open transaction: all at once, or in parts."""

    def __init__(
        self,
        producer: TransactionalProducer,
        topic: str,
        changes: Callable[[str], Iterable[StateRecord]],
        partition_of: Mapping[str, int],
        keep_waiting: KeepWaiting,
        performance: Performance = NOT_JUDGED,
    ) -> None:
        self._producer = producer
        self._topic = topic
        self._changes = changes
        self._partition_of = partition_of
        self._performance = performance
        self._keep_waiting = keep_waiting
        self._begin()

    def changed(self, symbols: Iterable[str]) -> None:
        """Note that the state of these symbols changed."""
        for symbol in symbols:
            self._changed[self._partition_of[symbol]].add(symbol)

    def processed(self, positions: Mapping[int, int]) -> None:
        """Note up to where ticks are processed: partition → next offset."""
        self._positions.update(positions)

    @property
    def empty(self) -> bool:
        """Whether there is nothing to write."""
        return not self._noted()

    def write(self) -> dict[int, int]:
        """Write all that was noted; return the noted offsets, which belong into the same transaction.

        Raises:
            TransactionFailed, KafkaFatal: see ``TransactionalProducer.send``.
        """
        positions: dict[int, int] = {}
        for partition in self._noted():
            positions |= self._complete(partition)
        return positions

    def parts(self, least: int) -> Iterator[dict[int, int]]:
        """Write what was noted step by step, with so many symbols of a partition in each, or a tenth of what
        it has where that is more; yield the offsets of partitions that are complete with it.

        Symbols may change between steps. They are written again before their partition is complete; where
        more change than are written, the rest of a partition is written at once.

        Raises:
            TransactionFailed, KafkaFatal: see ``TransactionalProducer.send``.
        """
        for partition in self._noted():
            waiting = self._changed[partition]
            size = max(least, len(waiting) // _STEPS)
            for _ in range(2 * len(waiting) // size):
                if len(waiting) <= size:
                    break
                self._write(partition, [waiting.pop() for _ in range(size)])
                yield {}
            yield self._complete(partition)

    def committed(self) -> None:
        """What was written is committed."""
        self._performance.committed()

    def clear(self) -> None:
        """Forget what was noted, and what was written: it will not be committed."""
        self._begin()
        self._performance.clear()

    def _complete(self, partition: int) -> dict[int, int]:
        """Write all that changed of a partition, then its offset, which is returned."""
        self._write(partition, self._changed.pop(partition, ()))
        if partition not in self._positions:
            return {}
        offset = self._positions.pop(partition)
        self._send(partition, KEY, encode_checkpoint(offset))
        return {partition: offset}

    def _write(self, partition: int, symbols: Collection[str]) -> None:
        for symbol in symbols:
            for key, value in self._changes(symbol):
                self._send(partition, key, value)
        self._performance.write(symbols)

    def _send(self, partition: int, key: str, value: bytes | None) -> None:
        self._producer.send(self._topic, value, key, self._keep_waiting, partition=partition)

    def _noted(self) -> set[int]:
        return self._positions.keys() | self._changed.keys()

    def _begin(self) -> None:
        self._changed: defaultdict[int, set[str]] = defaultdict(set)
        self._positions: dict[int, int] = {}
