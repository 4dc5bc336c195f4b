"""What the next commit has of each symbol that changed, and how far ticks are processed.

A symbol's records go to the partition with the number of its ticks' partition, whatever their key: whoever
owns the ticks of a symbol finds all of its state by that number.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping

from stockpipeline.adapters.kafka_transactions import KeepWaiting, TransactionalProducer
from stockpipeline.detector.checkpoint import KEY, encode_checkpoint
from stockpipeline.detector.performance import NOT_JUDGED, Performance
from stockpipeline.signals.state import StateRecord


class StateWriter:
    """Gathers what changed, and writes each changed symbol once into an open transaction.

    A partition's symbols go with its offset, all of them; partitions may be written one after the other.
    """

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

    def slices(self, symbols: int) -> list[list[int]]:
        """Return the partitions of which something was noted, in groups.

        A group is of no more than so many changed symbols, or of one partition.
        """
        groups: list[list[int]] = []
        room = 0
        for partition in self._noted():
            changed = len(self._changed.get(partition, ()))
            if changed > room or not groups:
                groups.append([])
                room = symbols
            groups[-1].append(partition)
            room -= changed
        return groups

    def write(self, partitions: Iterable[int] | None = None) -> dict[int, int]:
        """Write what was noted of these partitions, or of all.

        Returns their noted offsets, which belong into the same transaction.

        Raises:
            TransactionFailed, KafkaFatal: see ``TransactionalProducer.send``.
        """
        send, topic, keep_waiting = self._producer.send, self._topic, self._keep_waiting
        positions: dict[int, int] = {}
        written: list[str] = []
        for partition in self._noted() if partitions is None else partitions:
            changed = self._changed.pop(partition, set())
            written += changed
            for symbol in changed:
                for key, value in self._changes(symbol):
                    send(topic, value, key, keep_waiting, partition=partition)
            if partition in self._positions:
                positions[partition] = offset = self._positions.pop(partition)
                send(topic, encode_checkpoint(offset), KEY, keep_waiting, partition=partition)
        self._performance.write(written)
        return positions

    def committed(self) -> None:
        """What was written is committed."""
        self._performance.committed()

    def clear(self) -> None:
        """Forget what was noted, and what was written: it will not be committed."""
        self._begin()
        self._performance.clear()

    def _noted(self) -> set[int]:
        return self._positions.keys() | self._changed.keys()

    def _begin(self) -> None:
        self._changed: defaultdict[int, set[str]] = defaultdict(set)
        self._positions: dict[int, int] = {}
